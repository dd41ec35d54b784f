import { testDocumentedAttacks } from "./documented.ts";
import { http1 } from "./http1.ts";
import { attacksOver } from "./rows/index.ts";

testDocumentedAttacks(http1, attacksOver(http1));
