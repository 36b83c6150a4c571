// Pages that load an unmodified lib-jitsi-meet and index.html, in headless Chromium. Used by run.mjs and meeting.mjs.
import { createServer } from 'node:http';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';

const here = dirname(fileURLToPath(import.meta.url));

const switches = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required',
    '--allow-loopback-in-peer-connection', '--disable-features=WebRtcHideLocalIpsWithMdns', '--disable-background-timer-throttling',
    '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows', '--ignore-certificate-errors'
];

export const sleep = ms => new Promise(ok => setTimeout(ok, ms));

// hall opens pages. The options: lib, playwright, chromium (paths), headed, camera (parameters of the fake device), switches
// (more of Chromium's).
export async function hall(o) {
    if (!o.lib) throw new Error('give --lib /path/to/lib-jitsi-meet.min.js (or LJM_JS)');
    const path = createRequire(o.playwright ? pathToFileURL(join(o.playwright, 'x.js')) : import.meta.url).resolve('playwright-core');
    const { chromium } = (await import(pathToFileURL(path))).default ?? await import(pathToFileURL(path));
    const lib = await readFile(o.lib);
    const page0 = await readFile(join(here, 'index.html'));
    const web = createServer((q, r) => {
        const path = q.url.split('?')[0];
        if (path === '/lib.js') { r.writeHead(200, { 'content-type': 'text/javascript' }); r.end(lib); }
        else if (path === '/') { r.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }); r.end(page0); }
        else { r.writeHead(path === '/favicon.ico' ? 204 : 404); r.end(); }
    });
    await new Promise(ok => web.listen(0, '127.0.0.1', ok));
    const base = `http://127.0.0.1:${web.address().port}/`;     // loopback is a secure context, so getUserMedia works
    const browsers = [], dirs = [];
    const args = [ ...switches, '--use-fake-device-for-media-stream' + (o.camera ? '=' + o.camera : ''), ...(o.switches || []) ];
    const executablePath = o.chromium || '/usr/bin/chromium';
    const permissions = [ 'camera', 'microphone' ];
    let common;
    return {
        // launch starts a Chromium of its own and returns its context.
        async launch() {
            const dir = await mkdtemp(join(tmpdir(), 'ljm-')); dirs.push(dir);
            const context = await chromium.launchPersistentContext(dir, { executablePath, headless: !o.headed, args, permissions });
            browsers.push(context); return context;
        },
        // window opens a window in one Chromium for all.
        async window() {
            if (!common) browsers.push(common = await chromium.launch({ executablePath, headless: !o.headed, args }));
            return common.newContext({ permissions });
        },
        // open loads the client; the parameters are those of index.html. Events come to note, as JSON.
        async open(context, parameters, note) {
            const page = await context.newPage();
            await page.exposeFunction('__emit', note);
            page.on('console', m => { if (parameters.trace || m.type() === 'error') note(JSON.stringify({ client: parameters.client, ev: 'console', type: m.type(), text: m.text().slice(0, 2000) })); });
            page.on('crash', () => note(JSON.stringify({ client: parameters.client, ev: 'page-crash' })));
            await page.goto(base + '#' + encodeURIComponent(JSON.stringify(parameters)));
            return page;
        },
        async close() {
            for (const b of browsers) await b.close().catch(() => {});
            web.close();
            for (const d of dirs) await rm(d, { recursive: true, force: true }).catch(() => {});
        }
    };
}
