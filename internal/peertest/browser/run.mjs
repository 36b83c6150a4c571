// Runs one scenario in Chromium against a page that is being served:
//
//	PARLEY_PAGE=http://127.0.0.1:8080 node run.mjs FILE SCENARIO [ARGUMENT...]
//
// It prints one line of JSON at the end, {"ok": true, ...figures} or {"ok": false, "error": ...}, and exits with 0 or 1.
// A scenario may ask its caller to do something to the server: it prints "?WORD" and goes on when a line comes back.

import { Browser, lines } from './drive.mjs';

const [, , file, scenario, ...args] = process.argv;
const scenarios = await import(new URL(file, import.meta.url));
const browser = await Browser.start();
let result;
try {
	if (!scenarios[scenario]) throw new Error(`${file} has no scenario ${scenario}`);
	const figures = await scenarios[scenario](browser, ...args);
	browser.sound();
	result = { ok: true, ...figures };
} catch (error) {
	result = { ok: false, error: String(error.stack ?? error) };
	if (process.env.PARLEY_SHOW) {
		for (const [i, p] of browser.people.entries()) await p.tab.screenshot({ path: `${process.env.PARLEY_SHOW}/${scenario}-${i}.png` }).catch(() => {});
	}
}
await browser.close().catch(() => {});
lines.close();
console.log(JSON.stringify(result));
process.exit(result.ok ? 0 : 1);
