// What the inspector's pages can do beyond links and forms. Without this file every page still works.
"use strict";
