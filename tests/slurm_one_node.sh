#!/usr/bin/env bash
# A Slurm of one node for tests: the controller, the daemon of the node and munge, all on this machine, as root.
#   tests/slurm_one_node.sh start | stop
# Needs Debian's packages slurm-wlm and munge. Leaves a Slurm alone that is there already. Its files lie in
# /var/lib/tamis-slurm; the settings are found by SLURM_CONF, which `start` prints.
set -euo pipefail

home=/var/lib/tamis-slurm
conf=$home/slurm.conf
export SLURM_CONF=$conf

alive() { [ -e "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

settings() {
    local host memory
    host=$(hostname -s)
    memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
    cat <<CONF
ClusterName=tamis
SlurmctldHost=$host
AuthType=auth/munge
SlurmUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
MinJobAge=600
KillWait=2
MailProg=/bin/true
SlurmctldPidFile=$home/slurmctld.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdPidFile=$home/slurmd.pid
SlurmdLogFile=$home/slurmd.log
SlurmdSpoolDir=$home/spool
StateSaveLocation=$home/state
SlurmdParameters=config_overrides
NodeName=$host CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

start() {
    mkdir -p $home/spool $home/state /run/munge
    chown munge: /run/munge
    settings >$conf
    if ! munge -n 2>/dev/null | unmunge >/dev/null 2>&1; then
        runuser -u munge -- munged --force
    fi
    # jobs that an interrupted test left behind would come back with the state
    alive $home/slurmctld.pid || { rm -rf $home/state && mkdir $home/state && slurmctld; }
    alive $home/slurmd.pid || slurmd
    for _ in $(seq 60); do
        case $(sinfo --noheader --format=%T 2>/dev/null) in
        idle | mixed | allocated)
            echo "$conf"
            return
            ;;
        down*) scontrol update nodename="$(hostname -s)" state=idle || true ;;
        esac
        sleep 0.5
    done
    echo "Slurm does not come up; see $home/*.log" >&2
    exit 1
}

stop() {
    for pid in $home/slurmd.pid $home/slurmctld.pid; do
        if alive $pid; then kill "$(cat $pid)"; fi
    done
}

case ${1:-} in
start) start ;;
stop) stop ;;
*)
    echo "usage: $0 start|stop" >&2
    exit 2
    ;;
esac
