// The parts of the page that make calls of several and need no browser, under node --test: the focus's offer, layers,
// places and wishes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';

const source = new URL('../../../portal/page/static/js/', import.meta.url);
const { all, el, one } = await import(new URL('xml.js', source));
const { Malformed, NS, Remote, fromSDP } = await import(new URL('jingle.js', source));
const { attr, attrs, parseSDP } = await import(new URL('sdp.js', source));
const { Offer, accepted, restarted, screenSource, sourcesIn, withSimulcast } = await import(new URL('offer.js', source));
const { channelURL } = await import(new URL('colibri.js', source));
const { cameraLayers, screenLayers, sharedCodec } = await import(new URL('layers.js', source));
const { capacity, layout, seat, tilesOf } = await import(new URL('seats.js', source));
const { Pace } = await import(new URL('pace.js', source));
const { wishFor } = await import(new URL('wishes.js', source));
const { whyWords } = await import(new URL('words.js', source));

const payload = (id, name, clockrate, ...kids) => el('payload-type', { id, name, clockrate }, kids);
const transport = (more = {}) => el('transport', { xmlns: NS.ice, ufrag: 'e9Lu', pwd: 'rmFZXbZzKTCbDCSCrxeXQmcb', ...more },
	el('fingerprint', { xmlns: NS.dtls, hash: 'sha-256', setup: 'actpass' }, 'AB:CD'), el('rtcp-mux'),
	el('candidate', { component: 1, foundation: 1, generation: 0, id: 'c1', ip: '203.0.113.7', network: 0, port: 10000, priority: 2130706431, protocol: 'udp', type: 'host' }),
	el('web-socket', { xmlns: 'http://jitsi.org/protocol/colibri', url: 'wss://meet.example/colibri-ws/n1/6f/0f3a9c1e?pwd=s3cr3t' }));
const content = (name, payloads, sources = []) => el('content', { creator: 'initiator', name, senders: 'both' },
	el('description', { xmlns: NS.rtp, media: name }, payloads, el('rtp-hdrext', { xmlns: NS.extension, id: 10, uri: 'urn:ietf:params:rtp-hdrext:sdes:mid' }), el('rtcp-mux'), sources), transport());
const from = (ssrc, name, owner, more) => el('source', { xmlns: NS.source, ssrc, name, ...more }, el('ssrc-info', { xmlns: 'http://jitsi.org/jitmeet', owner }));
// The offer of the focus, after the example of the specification.
const initiate = (kids = [], audio = [], video = []) => el('jingle', { xmlns: NS.jingle, action: 'session-initiate', sid: '8cq1' },
	content('audio', [payload(111, 'opus', 48000)], [from(1, 'jvb-a0', 'jvb'), ...audio]),
	content('video', [payload(41, 'AV1', 90000), payload(100, 'VP8', 90000), payload(101, 'VP9', 90000), payload(42, 'rtx', 90000, el('parameter', { name: 'apt', value: 41 }))], [from(2, 'jvb-v0', 'jvb'), ...video]),
	el('bridge-session', { xmlns: 'http://jitsi.org/protocol/focus', id: 'b1f0' }), kids);
const mids = (sdp) => parseSDP(sdp).media.map((m) => attr(m.lines, 'mid'));

test('an offer has our three lines first, on which only we send', () => {
	const offer = new Offer(initiate());
	const { lines, media } = parseSDP(offer.sdp());
	assert.deepEqual(mids(offer.sdp()), ['audio', 'video', 'screen']);
	assert.equal(attr(lines, 'group'), 'BUNDLE audio video screen');
	for (const m of media) {
		assert.equal(attr(m.lines, 'recvonly'), '', m.kind);
		assert.equal(attr(m.lines, 'ssrc'), undefined, 'the bridge sends nothing on them');
		assert.equal(attr(m.lines, 'setup'), 'actpass');
	}
	assert.equal(offer.bridge, 'b1f0');
	assert.deepEqual(offer.codecs, ['av1', 'vp8', 'vp9']);
});

test('the preferred codec stands first', () => {
	const offer = new Offer(initiate(), 'vp8');
	assert.deepEqual(parseSDP(offer.sdp()).media[1].formats, ['100', '41', '101', '42']);
	offer.prefer('h264'); // was not offered
	assert.equal(parseSDP(offer.sdp()).media[1].formats[0], '100');
});

test('a slot is a line of its own, the same one for whatever plays in it', () => {
	const offer = new Offer(initiate());
	assert.deepEqual(offer.slot({ kind: 'video', mid: 'v0', ssrc: 10, rtx: 11 }), { mid: 'v0', changed: true });
	assert.deepEqual(offer.slot({ kind: 'video', mid: 'v0', ssrc: 10, rtx: 11 }), { mid: 'v0', changed: false });
	assert.deepEqual(offer.slot({ kind: 'audio', ssrc: 20 }), { mid: 's20', changed: true }, 'without mid demux');
	assert.deepEqual(mids(offer.sdp()), ['audio', 'video', 'screen', 'v0', 's20']);
	const slot = parseSDP(offer.sdp()).media[3];
	assert.equal(attr(slot.lines, 'sendonly'), '');
	assert.deepEqual(attrs(slot.lines, 'ssrc-group'), ['FID 10 11']);
	assert.equal(offer.close('v0'), true);
	assert.equal(offer.close('v0'), false);
	assert.equal(attr(parseSDP(offer.sdp()).media[3].lines, 'inactive'), '');
	assert.equal(offer.slot({ kind: 'video', mid: 'v0', ssrc: 10, rtx: 11 }).changed, true, 'it can be opened again');
});

test('what cannot be a slot is refused', () => {
	const offer = new Offer(initiate());
	offer.slot({ kind: 'video', mid: 'v0', ssrc: 10 });
	for (const bad of [{ kind: 'video', mid: 'audio', ssrc: 1 }, { kind: 'audio', mid: 'v0', ssrc: 10 }, { kind: 'video', mid: 'x\r\na=x', ssrc: 1 }, { kind: 'video', mid: 'v1', ssrc: '1 cname:x' }, { kind: 'other', mid: 'q', ssrc: 1 }, { kind: 'video', mid: 'v2', ssrc: 2 ** 32 }, { kind: 'video', mid: 'v2', ssrc: 1, rtx: 0 }, { kind: 'video', mid: 'v2' }]) {
		assert.throws(() => offer.slot(bad), Malformed, JSON.stringify(bad));
	}
	assert.deepEqual(mids(offer.sdp()), ['audio', 'video', 'screen', 'v0']);
	for (let i = 1; i < 200; i++) offer.slot({ kind: 'audio', ssrc: 1000 + i });
	assert.throws(() => offer.slot({ kind: 'audio', ssrc: 5000 }), Malformed, 'too many');
	assert.throws(() => new Offer(el('jingle', { xmlns: NS.jingle, sid: 'x' })), Malformed);
	assert.throws(() => new Offer(el('jingle', { xmlns: NS.jingle }, content('audio', [payload(111, 'opus', 48000)]))), Malformed);
});

test('sources of others come as elements and as compact JSON, the bridge\'s own do not count', () => {
	const want = [{ kind: 'video', ssrc: 30, rtx: 31, source: '64f125c7-v1', owner: '64f125c7', videoType: 'desktop' }, { kind: 'audio', ssrc: 32, rtx: undefined, source: '64f125c7-a0', owner: '64f125c7', videoType: 'camera' }];
	const owner = 'room@muc.example/64f125c7';
	const group = el('ssrc-group', { xmlns: NS.source, semantics: 'FID' }, el('source', { ssrc: 30 }), el('source', { ssrc: 31 }));
	const elements = initiate([], [from(32, '64f125c7-a0', owner)], [from(30, '64f125c7-v1', owner, { videoType: 'desktop' }), from(31, '64f125c7-v1', owner, { videoType: 'desktop' }), group]);
	assert.deepEqual(sourcesIn(elements).reverse(), want);
	const json = (text) => initiate(el('json-message', { xmlns: 'http://jitsi.org/jitmeet' }, text));
	const compact = { sources: { jvb: [[{ s: 2, n: 'jvb-v0' }]], '64f125c7': [[{ s: 30, n: '64f125c7-v1', v: 'd' }, { s: 31, n: '64f125c7-v1', v: 'd' }], [['f', 30, 31]], [{ s: 32, n: '64f125c7-a0' }]] } };
	assert.deepEqual(sourcesIn(json(JSON.stringify(compact))), want);
	assert.deepEqual(mids(new Offer(elements).sdp()), ['audio', 'video', 'screen', 's32', 's30']);
	for (const bad of ['{', '{"sources":null}', 'null']) assert.throws(() => sourcesIn(json(bad)), Malformed, bad);
});

// What Chromium answers to such an offer, shortened.
const answer = ['v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE audio video screen',
	...['audio', 'video', 'screen'].flatMap((mid, i) => [`m=${mid === 'audio' ? 'audio' : 'video'} 9 UDP/TLS/RTP/SAVPF ${mid === 'audio' ? 111 : '100 96'}`, 'c=IN IP4 0.0.0.0', 'a=ice-ufrag:abcd', 'a=ice-pwd:abcdefghijklmnopqrstuvwx',
		'a=fingerprint:sha-256 AA:BB', 'a=setup:active', `a=mid:${mid}`, 'a=sendonly', `a=msid:s${i} t${i}`, 'a=rtcp-mux',
		...(mid === 'audio' ? ['a=rtpmap:111 opus/48000/2', 'a=ssrc:100 cname:me'] : ['a=rtpmap:100 VP8/90000', 'a=rtpmap:96 rtx/90000', `a=ssrc-group:FID ${200 + i} ${300 + i}`, `a=ssrc:${200 + i} cname:me`, `a=ssrc:${300 + i} cname:me`])]), ''].join('\r\n');

test('a camera is signalled as three streams with their repetitions, with the same SSRCs each time', () => {
	let next = 1000;
	const first = withSimulcast(answer, undefined, () => ++next);
	const camera = parseSDP(first.sdp).media[1];
	assert.deepEqual(attrs(camera.lines, 'ssrc-group'), ['FID 201 301', 'SIM 201 1001 1003', 'FID 1001 1002', 'FID 1003 1004']);
	assert.equal(attrs(camera.lines, 'ssrc').filter((l) => / cname:me$/.test(l)).length, 6);
	assert.deepEqual(withSimulcast(answer, first.ssrcs), first);
	assert.deepEqual(withSimulcast(first.sdp, first.ssrcs), first, 'where the browser has kept them');
	assert.deepEqual(parseSDP(first.sdp).media[2], parseSDP(answer).media[2], 'the screen is one stream');
	assert.notDeepEqual(withSimulcast(answer.replaceAll('201', '777'), first.ssrcs).ssrcs, first.ssrcs);
});

test('session-accept has audio and video, and the screen only while it is shared', () => {
	const sources = (c) => all(one(c, 'description'), 'source').map((s) => [s.attrs.name, s.attrs.ssrc, s.attrs.videoType]);
	const { contents, group } = accepted(answer, '0f3a9c1e', false);
	assert.deepEqual(contents.map((c) => [c.attrs.name, c.attrs.senders]), [['audio', 'both'], ['video', 'both']]);
	assert.deepEqual(group.kids.map((k) => k.attrs.name), ['audio', 'video']);
	assert.deepEqual(sources(contents[0]), [['0f3a9c1e-a0', '100', undefined]]);
	assert.deepEqual(sources(contents[1]), [['0f3a9c1e-v0', '201', 'camera'], ['0f3a9c1e-v0', '301', 'camera']]);
	assert.equal(one(one(contents[0], 'transport'), 'fingerprint').attrs.setup, 'active');
	const shared = accepted(answer, '0f3a9c1e', true).contents[1];
	assert.deepEqual(sources(shared).slice(2), [['0f3a9c1e-v1', '202', 'desktop'], ['0f3a9c1e-v1', '302', 'desktop']]);
	assert.deepEqual(sources(screenSource(answer, '0f3a9c1e')), sources(shared).slice(2));
	assert.deepEqual(restarted(answer, '2').map((c) => { const { attrs: a } = one(c, 'transport'); return [c.attrs.name, a.ufrag, a['ice-generation']]; }), [['audio', 'abcd', '2'], ['video', 'abcd', '2']]);
});

test('another ICE generation replaces credentials and candidates everywhere, and keeps the certificate', () => {
	const offer = new Offer(initiate());
	offer.slot({ kind: 'audio', mid: 'a0', ssrc: 5 });
	const fresh = transport({ ufrag: 'NeW1', pwd: 'abcdefghijklmnopqrstuvwx' });
	fresh.kids = fresh.kids.filter((k) => k.name !== 'fingerprint');
	offer.restart(fresh);
	for (const m of parseSDP(offer.sdp()).media) {
		assert.equal(attr(m.lines, 'ice-ufrag'), 'NeW1');
		assert.equal(attr(m.lines, 'fingerprint'), 'sha-256 AB:CD');
	}
});

test('the channel is opened at the server that the page is from', () => {
	const here = new URL('https://other.example:8443/room?x#y');
	assert.equal(channelURL('wss://meet.example/colibri-ws/n1/c/e?pwd=s', here), 'wss://other.example:8443/colibri-ws/n1/c/e?pwd=s');
	assert.equal(channelURL('ws://localhost:1/colibri-ws/n1/c/e', new URL('http://127.0.0.1:8080/')), 'ws://127.0.0.1:8080/colibri-ws/n1/c/e');
	for (const bad of [undefined, '', 'https://meet.example/colibri-ws/a', 'wss://meet.example/api/v1', 'javascript:0']) assert.equal(channelURL(bad, here), undefined);
});

test('layers: no more than anybody wants, and nothing if nobody does', () => {
	const on = (layers) => layers.map((l) => (l.active ? l.scaleResolutionDownBy : 0));
	const camera = (codec, height, wanted) => on(cameraLayers({ codec, height, wanted, count: 3 }));
	assert.deepEqual(camera('vp8', 720, -1), [4, 2, 1]);
	assert.deepEqual(camera('vp8', 720, 400), [4, 2, 0]);
	assert.deepEqual(camera('vp8', 720, 100), [4, 0, 0], 'the smallest always');
	assert.deepEqual(camera('vp8', 720, 0), [0, 0, 0]);
	assert.deepEqual(camera('h264', 360, -1), [2, 1, 0], 'a small camera has fewer');
	assert.deepEqual(camera('vp8', 180, -1), [1, 0, 0]);
	assert.deepEqual(camera('vp9', 720, -1), [1, 0, 0]);
	assert.deepEqual(camera('vp9', 720, 400), [2, 0, 0]);
	assert.deepEqual(camera('av1', 720, 0), [0, 0, 0]);
	assert.equal(cameraLayers({ codec: 'vp9', height: 720, wanted: 200, count: 3 })[0].scalabilityMode, 'L1T3');
	assert.equal(cameraLayers({ codec: 'vp9', height: 720, wanted: -1, count: 3 })[0].scalabilityMode, 'L3T3_KEY');
	assert.deepEqual(on(screenLayers({ height: 1080, wanted: 540 })), [2]);
	assert.deepEqual(on(screenLayers({ height: 1080, wanted: 2000 })), [1]);
	assert.deepEqual(on(screenLayers({ height: 1080, wanted: 0 })), [0]);
});

test('the codec is the first that everybody can decode', () => {
	const mine = ['vp9', 'vp8', 'h264'];
	assert.equal(sharedCodec(mine, ['av1', 'vp8', 'vp9'], [['vp8', 'vp9'], ['vp8']]), 'vp8');
	assert.equal(sharedCodec(mine, ['av1', 'vp8', 'vp9'], [[], ['vp9']]), 'vp9', 'who says nothing does not count');
	assert.equal(sharedCodec(mine, ['vp8'], [['av1']]), 'vp8', 'none is shared');
});

test('places: as large as possible, between 4:3, or 3:4 where it is high, and 16:9', () => {
	assert.deepEqual(layout(1, { width: 1600, height: 900 }), { columns: 1, width: 1600, height: 900 });
	assert.equal(layout(4, { width: 1240, height: 640 }).columns, 2);
	assert.equal(layout(3, { width: 1240, height: 300 }).columns, 3);
	assert.deepEqual(layout(4, { width: 340, height: 560 }), { columns: 2, width: 165, height: 220 });
	for (let n = 1; n < 40; n++) {
		for (const area of [{ width: 340, height: 560 }, { width: 1240, height: 640 }, { width: 900, height: 120 }]) {
			const { columns, width, height } = layout(n, area);
			const rows = Math.ceil(n / columns);
			assert.ok(columns * width + 10 * (columns - 1) <= area.width && rows * height + 10 * (rows - 1) <= area.height, `${n} in ${JSON.stringify(area)}`);
			assert.ok(width <= height * 16 / 9 + 2 && width >= height * (area.height > area.width ? 3 / 4 : 4 / 3) - 2);
		}
	}
	assert.equal(capacity(4, { width: 1240, height: 640 }), 4);
	assert.ok(capacity(60, { width: 340, height: 560 }) < 60);
	assert.equal(capacity(9, { width: 0, height: 0 }), 1);
});

test('who speaks has a place, that of who has been silent for the longest time; all others keep theirs', () => {
	const keys = ['a', 'b', 'c', 'd', 'e'];
	assert.deepEqual(seat([], keys, 3), ['a', 'b', 'c']);
	const spoken = new Map([['a', 30], ['b', 10], ['c', 20]]);
	assert.deepEqual(seat(['a', 'b', 'c'], keys, 3, 'e', spoken), ['a', 'e', 'c']);
	assert.deepEqual(seat(['a', 'e', 'c'], keys, 3, 'c', spoken), ['a', 'e', 'c']);
	assert.deepEqual(seat(['a', 'e', 'c'], ['a', 'b', 'c', 'd'], 3, 'e'), ['a', 'c', 'b'], 'who has left has no place');
	assert.deepEqual(seat(['a', 'b'], [], 3, 'a'), []);
});

test('tiles: one for each camera, on or off, and one for each screen that is shared', () => {
	const video = (name, screen, muted) => ({ name, kind: 'video', screen, muted });
	const tiles = tilesOf([{ id: 'x', sources: [video('x-v0', false, true), video('x-v1', true, false)] }, { id: 'y', sources: [video('y-v0', false, false), video('y-v1', true, true)] }, { id: 'z', sources: [] }]);
	assert.deepEqual(tiles.map((t) => [t.key, t.screen, t.source.muted]), [['x-v0', false, true], ['x-v1', true, false], ['y-v0', false, false], ['z-v0', false, true]]);
});

test('tiles: a member that says to share many screens gets one tile for them', () => {
	const sources = Array.from({ length: 15 }, (_, i) => ({ name: `x-v${i + 1}`, kind: 'video', screen: true, muted: false }));
	assert.deepEqual(tilesOf([{ id: 'x', sources }]).map((t) => t.key), ['x-v0', 'x-v1']);
});

test('wishes: as many pixels as the tile has', () => {
	assert.equal(wishFor({ width: 1280, height: 720 }), 960);
	assert.equal(wishFor({ width: 320, height: 180 }), 240);
	assert.equal(wishFor({ width: 320, height: 180 }, { ratio: 2 }), 480);
	assert.equal(wishFor({ width: 200, height: 400 }), 540, 'cut to fill a high tile');
	assert.equal(wishFor({ width: 200, height: 400 }, { contain: true }), 160, 'a screen is shown whole');
	assert.equal(wishFor({ width: 0, height: 0 }), 0);
	assert.equal(wishFor({}), 0);
	assert.equal(wishFor({ width: 8000, height: 5000 }), 2160);
});

test('why, in words', () => {
	const here = { wished: 400, forwarded: true, playing: true, high: 360 };
	for (const [what, words] of [[{ muted: true }, 'camera off'], [{ muted: true, screen: true }, 'not shared'], [{ direct: true, high: 360 }, 'directly from the other browser'],
		[{ ...here, hidden: true }, 'this page is in the background'], [{ ...here, wished: 0 }, 'not visible here'], [{ ...here, forwarded: false }, 'the bridge does not send it yet'],
		[{ ...here, high: 0 }, 'waiting for a key frame'], [{ ...here, wished: 200, high: 180 }, 'small tile'], [{ ...here, wished: 100, high: 180 }, 'the smallest that there is'], [{ ...here, wished: 100, screen: true }, 'a screen comes in one size'],
		[{ ...here, reduced: 0, forwarded: false }, 'paused: your connection has no room for it'], [{ ...here, reduced: 180 }, 'your connection has no room for more'],
		[here, 'fits the tile'], [{ ...here, wished: 900 }, 'the sender has no more']]) assert.equal(whyWords(what), words);
});

test('p2p: sources come and go on lines of their own, and a line is used for both directions', () => {
	const sdp = fs.readFileSync(new URL('testdata/offer.sdp', import.meta.url), 'utf8');
	const remote = new Remote('initiator');
	const { contents, group } = fromSDP(sdp, 'initiator', '0f3a9c1e');
	remote.merge(el('jingle', { xmlns: NS.jingle }, contents, group));
	const before = mids(remote.sdp('offer'));
	const add = (name, ssrc) => el('jingle', { xmlns: NS.jingle }, el('content', { name: 'video' }, el('description', { xmlns: NS.rtp, media: 'video' },
		el('source', { xmlns: NS.source, ssrc, name, videoType: 'desktop' }, el('parameter', { name: 'msid', value: 's t' })))));
	remote.addSources(add('0f3a9c1e-v1', 77));
	const name = String(before.length);
	assert.deepEqual(mids(remote.sdp('offer')), [...before, name]);
	const line = () => parseSDP(remote.sdp('offer')).media.at(-1).lines;
	assert.equal(attr(line(), 'sendonly'), '');
	assert.equal(attr(line(), 'ssrc'), '77 cname:parley');
	assert.match(attr(parseSDP(remote.sdp('offer')).lines, 'group'), new RegExp(` ${name}$`));
	remote.reserve(name, 'responder', 'active'); // now we send on it, too
	assert.equal(attr(line(), 'sendrecv'), '');
	assert.equal(attr(parseSDP(remote.sdp('answer')).media[0].lines, 'setup'), 'passive', 'the part of the handshake does not change');
	const ours = remote.clone();
	ours.reserve('screen', 'responder', 'active');
	assert.match(attr(parseSDP(ours.sdp('answer')).lines, 'group'), / screen$/);
	assert.equal(attr(parseSDP(ours.sdp('answer')).media.at(-1).lines, 'recvonly'), '');
	remote.removeSources(add('0f3a9c1e-v1', 77));
	assert.equal(attr(line(), 'recvonly'), '');
	assert.equal(attr(line(), 'ssrc'), undefined);
	remote.addSources(add('0f3a9c1e-v1', 78));
	assert.equal(attr(line(), 'sendrecv'), '', 'the free line is used again');
	assert.equal(parseSDP(remote.sdp('offer')).media.length, before.length + 1);
	for (const bad of [el('jingle', { xmlns: NS.jingle }), add('x', '1\r\na=evil')]) {
		const copy = remote.clone();
		assert.throws(() => {
			copy.addSources(bad);
			copy.sdp('offer');
		}, Malformed);
	}
});

test('restarts are asked for as often as they are granted', () => {
	const pace = new Pace({ apart: 5, most: 3, within: 60 });
	assert.equal(pace.wait(100), 0);
	pace.ask(100);
	assert.equal(pace.wait(102), 3, 'too soon after the one before');
	assert.equal(pace.wait(105), 0);
	pace.ask(105);
	pace.ask(110);
	assert.equal(pace.wait(120), 40, 'until the first of three is long ago');
	assert.equal(pace.wait(160), 0);
});
