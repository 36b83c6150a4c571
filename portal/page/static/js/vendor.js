// Strophe comes as a script that sets globals. Its UMD build puts a namespace where the rest of this page expects the
// object of the same name.
import '../vendor/strophe.js';

if (globalThis.Strophe.Strophe) globalThis.Strophe = globalThis.Strophe.Strophe;
globalThis.Strophe.setLogLevel(globalThis.Strophe.LogLevel.FATAL); // what goes wrong is told by the page, in words
