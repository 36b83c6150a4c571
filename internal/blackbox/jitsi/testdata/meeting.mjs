#!/usr/bin/env node
// Three clients (unmodified lib-jitsi-meet + index.html) meet on the bridge, with one video codec: A has sources signalled, B has
// SSRC rewriting, C has rewriting with mids; --turn N changes who is who. Prints one JSON object per line; the last is
// {"ev":"summary","ok":...,"failed":[...]}. Exit 0 when everything that is expected came true.
import { hall, sleep } from './clients.mjs';

const opt = { url: '', domain: 'localhost', muc: '', room: 'meeting', codec: 'vp8', turn: '0', height: '360', fps: '15' };
const argv = process.argv.slice(2);
while (argv.length) {
    const a = argv.shift().replace(/^--/, '');
    if (a === 'trace') { opt.trace = true; continue; }
    if (!argv.length) throw new Error(`--${a} needs a value`);
    opt[a] = argv.shift();
}
const height = Number(opt.height);
// Of a camera of less than 960 x 540, Chromium encodes only the lower two of the three simulcast encodings that the client asks
// for, the larger of which is half the size. SVC has its layers in the whole size.
const full = [ 'vp8', 'h264' ].includes(opt.codec) ? height / 2 : height, low = full / 2;
const start = Date.now();
const say = (ev, data) => console.log(JSON.stringify({ t: Date.now() - start, ev, ...data }));

const failed = [];
let expectations = 0;
function expect(what, holds, seen) {
    expectations++;
    if (!holds) failed.push(what + (seen === undefined ? '' : ': ' + JSON.stringify(seen)));
    say('expect', { what, holds: !!holds, seen });
}

// until asks again until the answer will do, for so many ms; it returns the answer and how long it took.
async function until(ms, ask, good) {
    const from = Date.now();
    for (;;) {
        let seen;
        try { seen = await ask(); } catch (e) { seen = { error: String(e) }; }
        if (seen && good(seen)) return { ok: true, seen, took: Date.now() - from };
        if (Date.now() - from > ms) return { ok: false, seen, took: Date.now() - from };
        await sleep(100);
    }
}

const dialects = [ {}, { ssrcRewriting: true }, { ssrcRewriting: true, midDemux: true } ];
const clients = await hall({ lib: opt.lib || process.env.LJM_JS, playwright: opt.playwright || process.env.PLAYWRIGHT_CORE, chromium: opt.chromium, camera: `fps=${opt.fps}` });

// member is a client in a room.
class Member {
    constructor(name, page, context) { Object.assign(this, { name, page, context, events: [] }); }
    // js runs code with harness and its arguments in the page.
    js(f, ...args) { return this.page.evaluate(f, ...(args.length > 1 ? [ args ] : args)); }
    received(source) { return this.page.evaluate(s => harness.received(s), source); }
    count(ev) { return this.events.filter(e => e.ev === ev).length; }
    async leave() { await this.page.evaluate(() => harness.leave()).catch(() => {}); await this.context.close(); }
}
let joined = 0;
async function join(room, name, more = {}) {
    const n = joined++, context = await clients.window();
    const m = new Member(name, null, context);
    const P = { client: name, name, serviceUrl: opt.url, domain: opt.domain, muc: opt.muc || undefined, room, trace: opt.trace, codecs: [ opt.codec ], voice: true, keepSize: true,
        resolution: height, constraints: { height: { ideal: height, max: height }, width: { ideal: height * 16 / 9 }, frameRate: { ideal: Number(opt.fps), max: Number(opt.fps) } },
        ...dialects[(n + Number(opt.turn)) % 3], ...more };
    m.page = await clients.open(context, P, line => { const e = JSON.parse(line); e.at = Date.now(); m.events.push(e); if (opt.trace || /failed|fatal|error|interrupted|closed/.test(e.ev)) console.log(line); });
    const r = await until(15000, () => m.page.evaluate(() => harness.me()), id => typeof id === 'string' && m.count('joined') > 0);
    expect(`${name} joins`, r.ok, m.events.filter(e => /failed|fatal|error/.test(e.ev)));
    m.id = r.seen;
    return m;
}
// decodes waits until a source's frames are decoded, n more than now.
async function decodes(what, m, source, ms = 8000, n = 10) {
    const before = (await m.received(source).catch(() => null))?.decoded ?? 0;
    const r = await until(ms, () => m.received(source), s => s.decoded >= before + n);
    expect(what, r.ok, { ...r.seen, took: r.took });
    return r.seen ?? {};
}
const hears = async (what, m, source) => {
    const before = (await m.received(source).catch(() => null))?.packets ?? 0;
    const r = await until(8000, () => m.received(source), s => s.packets > before + 20);
    expect(what, r.ok, r.seen);
};
// size waits until what is received of a source has a height that will do.
async function size(what, m, sender, good, ms) {
    const r = await until(ms, () => m.received(sender.id + '-v0'), s => good(s.h));
    expect(what, r.ok, { h: r.seen?.h, took: r.took, sending: r.ok ? undefined : await sender.page.evaluate(() => harness.toBridge()) });
}
const constrain = (m, heights) => m.page.evaluate(h => harness.constraints({ defaultConstraints: { maxHeight: -1 }, constraints: Object.fromEntries(Object.entries(h).map(([ s, maxHeight ]) => [ s, { maxHeight } ])) }), heights);

async function onTheBridge() {
    const room = opt.room + 'x';
    let [ a, b ] = [ await join(room, 'a', { p2p: false }), await join(room, 'b', { p2p: false }) ];
    let s = await decodes('a decodes b', a, b.id + '-v0', 15000);
    await decodes('b decodes a', b, a.id + '-v0', 15000);
    expect('the codec is the one of the test', s.codec === opt.codec.toUpperCase(), s.codec);
    await hears('a hears b', a, b.id + '-a0');
    await hears('b hears a', b, a.id + '-a0');

    const c = await join(room, 'c', { p2p: false });
    const late = Date.now();
    for (const o of [ a, b ]) await decodes(`late c decodes ${o.name}`, c, o.id + '-v0', 8000, 1);
    say('late', { ms: Date.now() - late });
    for (const o of [ a, b ]) await decodes(`${o.name} decodes late c`, o, c.id + '-v0');
    await hears('late c hears a', c, a.id + '-a0');

    // Layers: c keeps the whole size of a all the while, b goes down and up.
    const source = a.id + '-v0';
    await constrain(c, { [source]: full });
    await constrain(b, { [source]: full });
    await size('c gets the full size', c, a, h => h === full, 20000);
    await size('b gets the full size', b, a, h => h === full, 20000);
    await sleep(1000);
    const before = { b: await b.received(source), c: await c.received(source) };
    for (let i = 0; i < 2; i++) {
        await constrain(b, { [source]: low });
        await size('b gets a smaller size', b, a, h => h > 0 && h <= low, 4000);
        await sleep(1500);
        const other = await c.received(source);
        expect('c keeps the full size', other.h === full, other);
        await constrain(b, { [source]: full });
        await size('b gets the full size again', b, a, h => h === full, 4000);
        await sleep(1500);
    }
    // A freeze is a frame that comes late. Where c, for which nothing changed, sees late frames of the same camera too, the machine
    // is short of CPU, and b's tell nothing.
    const after = { b: await b.received(source), c: await c.received(source) };
    const froze = m => after[m.name].freezes - before[m.name].freezes;
    say('freezes', { b: froze(b), c: froze(c) });
    expect('b did not freeze while its layers changed', froze(b) === 0 || froze(c) > 0, { before, after });
    for (const m of [ b, c ]) expect(`${m.name} decoded all the while`, after[m.name].decoded - before[m.name].decoded > 40, { before, after });

    // What nobody sees is not encoded.
    for (const m of [ b, c ]) await constrain(m, { [source]: 0 });
    await sleep(1500);
    const idle = [ await a.page.evaluate(() => harness.toBridge()) ];
    await sleep(2000);
    idle.push(await a.page.evaluate(() => harness.toBridge()));
    expect('a encodes nothing that nobody sees', idle[1].encoded[source] - idle[0].encoded[source] <= 2, idle);
    for (const m of [ b, c ]) await constrain(m, { [source]: height });
    for (const m of [ b, c ]) await decodes(`${m.name} sees a again`, m, source, 4000);

    // Who speaks.
    await b.page.evaluate(() => harness.sound(1500));
    const speaks = await until(2000, () => a.page.evaluate(() => harness.dominant()), id => id === b.id);
    expect('b is the speaker', speaks.ok, speaks.seen);
    for (let i = 0; i < 3; i++) { await a.page.evaluate(() => harness.sound(100)); await sleep(700); }
    expect('coughs of 100 ms do not switch', await c.page.evaluate(() => harness.dominant()) === b.id, await c.page.evaluate(() => harness.dominant()));
    const since = Date.now();
    const talking = a.page.evaluate(() => harness.sound(2000));
    const switched = await until(2000, () => c.page.evaluate(() => harness.dominant()), id => id === a.id);
    const said = c.events.findLast(e => e.ev === 'dominant-speaker');
    expect('speech switches within 1 s', switched.ok && said.at - since <= 1000, { ms: said && said.at - since });
    await talking;

    // A screen as second source.
    await b.page.evaluate(() => harness.addScreen(640, 360, 5));
    for (const m of [ a, c ]) {
        const seen = await decodes(`${m.name} decodes b's screen`, m, b.id + '-v1', 10000, 5);
        expect(`${m.name} knows that it is a screen`, seen.videoType === 'desktop', seen.videoType);
    }
    await decodes("b's camera goes on beside it", a, b.id + '-v0');
    await b.page.evaluate(() => harness.removeScreen());

    // Mute.
    for (const kind of [ 'video', 'audio' ]) {
        const of = b.id + (kind === 'video' ? '-v0' : '-a0');
        await b.page.evaluate(k => harness.mute(k, true), kind);
        const muted = await until(3000, () => a.received(of), r => r.muted);
        expect(`a knows that b's ${kind} is muted`, muted.ok, muted.seen);
        if (kind === 'video') {
            await sleep(700);
            const one = await a.received(of); await sleep(1000); const two = await a.received(of);
            expect('nothing is decoded of a muted camera', !two || two.decoded - one.decoded <= 1, { one, two });
        }
        await b.page.evaluate(k => harness.mute(k, false), kind);
        const back = await until(3000, () => a.received(of), r => !r.muted);
        expect(`a knows that b's ${kind} is not muted`, back.ok, back.seen);
        if (kind === 'video') await decodes("a decodes b's camera again", a, of, 5000);
        else await hears("a hears b again", a, of);
    }

    await c.leave();
    const left = await until(3000, async () => [ a.count('user-left'), b.count('user-left') ], n => n[0] && n[1]);
    expect('a and b see c leave', left.ok, left.seen);
    await decodes('a decodes b when c has left', a, b.id + '-v0');
    await decodes('b decodes a when c has left', b, a.id + '-v0');
    for (const m of [ a, b ]) expect(`${m.name} was never interrupted`, !m.count('media-interrupted') && !m.count('conference-failed') && !m.count('bridge-channel-closed'), m.events.filter(e => /interrupted|failed|closed/.test(e.ev)));
    await a.leave(); await b.leave();
}

async function throughP2P() {
    const room = opt.room + 'y';
    const small = { p2p: true, resolution: 180, constraints: { height: 180, width: 320, frameRate: Number(opt.fps) } }; // no layers here
    const [ a, b ] = [ await join(room, 'a', small), await join(room, 'b', small) ];
    const direct = await until(15000, async () => [ await a.page.evaluate(() => harness.p2p()), await b.page.evaluate(() => harness.p2p()) ], p => p[0] && p[1]);
    expect('a and b go p2p', direct.ok, direct.seen);
    await decodes('a decodes b', a, b.id + '-v0'); await decodes('b decodes a', b, a.id + '-v0');
    await sleep(1000);
    const one = await a.page.evaluate(() => harness.toBridge()); await sleep(2000);
    const two = await a.page.evaluate(() => harness.toBridge());
    expect('nothing is sent to the bridge meanwhile', two.video === one.video && two.packets - one.packets <= 5, [ one, two ]);

    let gaps = [ a, b ].map(m => m.page.evaluate(() => harness.gap(9000)));
    const c = await join(room, 'c', small);
    const bridged = await until(5000, async () => [ await a.page.evaluate(() => harness.p2p()), await b.page.evaluate(() => harness.p2p()) ], p => !p[0] && !p[1]);
    expect('a and b leave p2p for c', bridged.ok, bridged.seen);
    for (const [ m, o ] of [ [ a, b ], [ b, a ], [ a, c ], [ b, c ], [ c, a ], [ c, b ] ]) await decodes(`${m.name} decodes ${o.name} on the bridge`, m, o.id + '-v0', 10000);
    gaps = await Promise.all(gaps);
    expect('no gap of more than 1 s to the bridge', gaps.every(ms => ms <= 1000), gaps);

    gaps = [ a, b ].map(m => m.page.evaluate(() => harness.gap(9000)));
    await sleep(500);
    await c.leave();
    const back = await until(12000, async () => [ await a.page.evaluate(() => harness.p2p()), await b.page.evaluate(() => harness.p2p()) ], p => p[0] && p[1]);
    expect('a and b are p2p again', back.ok, back.seen);
    gaps = await Promise.all(gaps);
    expect('no gap of more than 1 s back to p2p', gaps.every(ms => ms <= 1000), gaps);
    await decodes('a decodes b again', a, b.id + '-v0'); await decodes('b decodes a again', b, a.id + '-v0');
    await a.leave(); await b.leave();
}

try {
    if (opt.only !== 'p2p') await onTheBridge();
    if (opt.only !== 'bridge') await throughP2P();
} catch (e) {
    failed.push(String(e && (e.stack || e)));
} finally {
    await clients.close();
}
console.log(JSON.stringify({ ev: 'summary', ok: !failed.length, failed, expectations, seconds: Math.round((Date.now() - start) / 1000) }));
process.exit(failed.length ? 1 : 0);
