// The parts of the page that need no browser, under node --test: Jingle and descriptions, names, links, words.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';

const source = new URL('../../../portal/page/static/js/', import.meta.url);
const { all, el, escape, one, serialize, text } = await import(new URL('xml.js', source));
const { Malformed, NS, Remote, candidateElement, candidateLine, changed, fromSDP, offerAction } = await import(new URL('jingle.js', source));
const { attr, parseSDP } = await import(new URL('sdp.js', source));
const names = await import(new URL('names.js', source));
const { readSwitches, defaults, websocketURL } = await import(new URL('config.js', source));
const { Channel } = await import(new URL('channel.js', source));
const words = await import(new URL('words.js', source));
const { Refusal, admit } = await import(new URL('pass.js', source));

const sdp = (name) => fs.readFileSync(new URL(`testdata/${name}.sdp`, import.meta.url), 'utf8').replace(/\r?\n/g, '\r\n');
const jingle = ({ contents, group }, attrs = {}) => el('jingle', { xmlns: NS.jingle, ...attrs }, contents, group);
const remote = (tree, role = 'initiator') => {
	const r = new Remote(role);
	r.merge(tree);
	return r;
};

// What a description says, without what Jingle has no place for and without the order of lines.
const dropped = /^a=(rtcp-rsize|msid-semantic|ice-options|end-of-candidates|rtcp:|max-message-size|bundle-only|ssrc:\d+ (mslabel|label))|^(o|c|b|s|t|v)=/;
const canon = (s) => {
	const { lines, media } = parseSDP(s);
	const sort = (list) => list.filter((l) => !dropped.test(l)).map((l) => l.replace(/ (network-(id|cost)) \d+/g, '').replace(/ ufrag \S+/, '').replace(/^a=candidate.*/, (c) => c.toLowerCase().replace(/ generation 0$/, ''))).sort();
	return { session: sort(lines).filter((l) => /group|mixed/.test(l)), media: media.map((m) => [m.kind, m.formats.join(' '), ...sort(m.lines)]) };
};

for (const name of ['offer', 'answer', 'data', 'firefox-offer', 'firefox-answer']) {
	test(`${name}: from SDP to Jingle and back says the same`, () => {
		const before = sdp(name);
		const type = name.includes('answer') ? 'answer' : 'offer';
		const role = type === 'offer' ? 'initiator' : 'responder';
		const tree = jingle(fromSDP(before, role, '0f3a9c1e'));
		const after = remote(tree, role).sdp(type);
		const want = canon(before);
		const got = canon(after);
		// An attribute of the whole session stands for each m-line.
		for (const key of ['fingerprint', 'setup', 'ice-ufrag', 'ice-pwd']) {
			const value = attr(parseSDP(before).lines, key);
			if (value !== undefined) for (const m of want.media) if (!m.some((l) => String(l).startsWith(`a=${key}:`))) m.push(`a=${key}:${value}`);
		}
		const relevant = (m) => new Set(m.filter((l) => /^a=(mid|ice-|fingerprint|setup|rtpmap|fmtp|rtcp-fb|extmap:|candidate|ssrc|msid:|sctp-port|sendrecv|sendonly|recvonly|inactive|rtcp-mux)/.test(l) || !l.startsWith('a=')));
		want.media.forEach((m, i) => {
			const missing = [...relevant(m)].filter((l) => !relevant(got.media[i]).has(l) && !(m[0] === 'application' && /^a=(sendrecv|rtcp-mux)/.test(l)) && !/^a=ssrc:\d+ (?!cname|msid)/.test(l) && !/^a=rtpmap|^a=fmtp/.test(normal(l, got.media[i])));
			assert.deepEqual(missing, [], `m-line ${i}`);
		});
		// Twice through is a fixed point.
		const again = remote(jingle(fromSDP(after, role, '0f3a9c1e')), role).sdp(type);
		assert.deepEqual(canon(again), canon(after));
	});
}

// normal answers "a=rtpmap" for a parameter line that is there with other spaces, as browsers write them.
const normal = (line, lines) => (lines.some((l) => l.replace(/[\s;]+/g, '') === line.replace(/[\s;]+/g, '')) ? 'a=rtpmap' : line);

test('contents have the shape that Jitsi clients use in a call of two', () => {
	const { contents, group } = fromSDP(sdp('offer'), 'initiator', '0f3a9c1e', 'desktop');
	assert.deepEqual(contents.map((c) => c.attrs), [{ creator: 'initiator', name: '0', senders: 'both' }, { creator: 'initiator', name: '1', senders: 'both' }]);
	assert.equal(serialize(group), '<group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="BUNDLE"><content name="0"/><content name="1"/></group>');
	const [audio, video] = contents.map((c) => one(c, 'description', NS.rtp));
	assert.equal(one(audio, 'source', NS.source).attrs.name, '0f3a9c1e-a0');
	assert.equal(one(video, 'source', NS.source).attrs.name, '0f3a9c1e-v0');
	assert.equal(one(video, 'source', NS.source).attrs.videoType, 'desktop');
	assert.equal(all(video, 'ssrc-group', NS.source)[0].attrs.semantics, 'FID');
	const transport = one(contents[0], 'transport', NS.ice);
	assert.match(transport.attrs.ufrag, /^\S{4,}$/);
	assert.equal(one(transport, 'fingerprint', NS.dtls).attrs.setup, 'actpass');
});

test('a candidate is the same after a round trip', () => {
	for (const line of [
		'candidate:1 1 udp 2113937151 192.0.2.7 54321 typ host generation 0',
		'candidate:842163049 1 udp 1677729535 203.0.113.9 46154 typ srflx raddr 10.0.17.1 rport 46154 generation 0',
		'candidate:3 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active generation 0',
		'candidate:4 1 udp 2113937151 2001:db8::1 5000 typ relay raddr :: rport 0 generation 2',
		'candidate:5 1 udp 1 0f3a9c1e-aaaa.local 5000 typ host generation 0',
	]) assert.equal(candidateLine(candidateElement(line)), line);
	assert.equal(candidateElement('candidate:nonsense'), undefined);
});

test('what would break out of its line is refused', () => {
	const bad = (change) => {
		const tree = jingle(fromSDP(sdp('offer'), 'initiator', 'a'));
		change(tree.kids[0], one(tree.kids[0], 'description'), one(tree.kids[0], 'transport'), tree);
		assert.throws(() => remote(tree).sdp('offer'), Malformed);
	};
	bad((c) => { c.attrs.name = '0\r\na=evil'; });
	bad((c, d) => { one(d, 'payload-type').attrs.name = 'opus\r\na=evil'; });
	bad((c, d) => { one(d, 'payload-type').attrs.id = '300'; });
	bad((c, d) => { one(one(d, 'payload-type'), 'parameter').attrs.value = '1\na=evil'; });
	bad((c, d) => { one(d, 'rtp-hdrext').attrs.uri = 'urn:x\r\na=evil'; });
	bad((c, d) => { one(d, 'source').attrs.ssrc = '1 a=evil'; });
	bad((c, d) => { one(one(d, 'source'), 'parameter').attrs.value = 'x\r\na=evil'; });
	bad((c, d) => { d.attrs.media = 'text'; });
	bad((c, d, t) => { t.attrs.ufrag = 'a\r\nb'; });
	bad((c, d, t) => { delete t.attrs.ufrag; });
	bad((c, d, t) => { one(t, 'fingerprint').attrs.hash = 'sha-256\n'; });
	bad((c, d, t) => { t.kids.push(el('candidate', { foundation: '1', component: '1', protocol: 'udp', priority: '1', ip: '1.2.3.4\r\na=evil', port: '1', type: 'host' })); });
	bad((c, d, t, tree) => { tree.kids = Array.from({ length: 40 }, (_, i) => ({ ...c, attrs: { ...c.attrs, name: String(i) } })); });
	bad((c, d) => { for (let i = 0; i < 200; i++) d.kids.push(one(d, 'payload-type')); });
});

test('the action of a later offer says what is new', () => {
	const first = sdp('offer');
	const { contents } = fromSDP(first, 'initiator', 'a');
	assert.deepEqual(changed(contents, fromSDP(first, 'initiator', 'a').contents), []);
	const restart = first.replace(/a=ice-ufrag:\S+/g, 'a=ice-ufrag:other');
	assert.equal(offerAction(first, contents, restart, fromSDP(restart, 'initiator', 'a').contents), 'transport-replace');
	const held = first.replace('a=sendrecv', 'a=sendonly');
	const now = fromSDP(held, 'initiator', 'a').contents;
	assert.equal(offerAction(first, contents, held, now), 'content-modify');
	assert.deepEqual(changed(contents, now).map((c) => c.attrs), [{ creator: 'initiator', name: '0', senders: 'initiator' }]);
	const more = first + first.slice(first.lastIndexOf('m=video')).replace('a=mid:1', 'a=mid:2');
	assert.equal(offerAction(first, contents, more, fromSDP(more, 'initiator', 'a').contents), 'content-add');
});

// Two channels whose seats are joined: what one sends, the other takes.
function joined() {
	const channels = {};
	const log = [];
	const seat = (me, other) => ({
		me, address: `r@muc/${me}`, peer: (id) => `r@muc/${id}`,
		iq: (to, tree) => new Promise((resolve, reject) => {
			log.push([me, tree.attrs.action]);
			setTimeout(() => {
				try {
					channels[other].take(tree);
					resolve();
				} catch (e) {
					reject(Object.assign(new Error(e.message), { condition: e.condition, tie: e.jingle === 'tie-break' }));
				}
			}, 5);
		}),
	});
	for (const [me, other] of [['a', 'b'], ['b', 'a']]) {
		channels[me] = new Channel(seat(me, other), other);
		channels[me].seen = [];
		channels[me].addEventListener('message', (m) => channels[me].seen.push(m.offer ? 'offer' : m.answer ? 'answer' : m.iceCandidate?.candidate.split(' ')[4] ?? m.iceCandidate));
		channels[me].addEventListener('end', (e) => channels[me].seen.push(`end by ${e.by}: ${e.reason}`));
	}
	return { ...channels, log };
}

const settle = () => new Promise((r) => { setTimeout(r, 60); });
const candidate = (ip, ufrag) => ({ candidate: `candidate:1 1 udp 1 ${ip} 1 typ host generation 0 ufrag ${ufrag}`, sdpMid: '0', sdpMLineIndex: 0, usernameFragment: ufrag });
const ufrag = (name) => attr(parseSDP(sdp(name)).media[0].lines, 'ice-ufrag');

test('V13 offer, answer and candidates pass; V14 candidates wait for their description', async () => {
	const { a, b, log } = joined();
	a.send({ iceCandidate: candidate('192.0.2.1', ufrag('offer')) }); // before the offer is sent
	a.send({ offer: { type: 'offer', sdp: sdp('offer') } });
	await settle();
	assert.deepEqual(b.seen, ['offer', '192.0.2.1']);
	b.send({ iceCandidate: candidate('192.0.2.2', ufrag('answer')) }); // before the answer is sent
	await settle();
	assert.deepEqual(a.seen, []);
	b.send({ answer: { type: 'answer', sdp: sdp('answer') } });
	b.send({ iceCandidate: null });
	await settle();
	assert.deepEqual(a.seen, ['answer', '192.0.2.2', null]);
	assert.deepEqual(log.map(([who, action]) => `${who} ${action}`), ['a session-initiate', 'a transport-info', 'b session-accept', 'b transport-info', 'b transport-info']);
	a.end();
	await settle();
	assert.equal(b.seen.at(-1), 'end by them: success');
});

test('V14 an answer that is overtaken by candidates goes first', async () => {
	const { a, b } = joined();
	a.send({ offer: { type: 'offer', sdp: sdp('offer') } });
	await settle();
	const take = a.take.bind(a);
	let accept;
	a.take = (tree) => { if (tree.attrs.action === 'session-accept') accept = tree; else take(tree); };
	b.send({ answer: { type: 'answer', sdp: sdp('answer') } });
	b.send({ iceCandidate: candidate('192.0.2.2', ufrag('answer')) });
	await settle();
	assert.deepEqual(a.seen, []);
	take(accept);
	assert.deepEqual(a.seen, ['answer', '192.0.2.2']);
});

test('V19 of two sessions at once the lower sid wins, of two offers in a session the initiator\'s', async () => {
	for (let round = 0; round < 8; round++) {
		const { a, b } = joined();
		a.send({ offer: { type: 'offer', sdp: sdp('offer') } });
		b.send({ offer: { type: 'offer', sdp: sdp('offer') } });
		await settle();
		const [winner, loser] = a.role === 'initiator' ? [a, b] : [b, a];
		assert.equal(winner.role, 'initiator');
		assert.equal(loser.role, 'responder');
		assert.equal(winner.sid, loser.sid);
		assert.deepEqual(winner.seen, []);
		assert.deepEqual(loser.seen, ['offer']);
		loser.send({ answer: { type: 'answer', sdp: sdp('answer') } });
		await settle();
		const restart = sdp('offer').replace(/a=ice-ufrag:\S+/g, 'a=ice-ufrag:again');
		winner.send({ offer: { type: 'offer', sdp: restart } });
		loser.send({ offer: { type: 'offer', sdp: sdp('answer').replace(/a=ice-ufrag:\S+/g, 'a=ice-ufrag:mine') } });
		await settle();
		assert.deepEqual(winner.seen, ['answer']);
		assert.deepEqual(loser.seen, ['offer', 'offer']);
		loser.send({ answer: { type: 'answer', sdp: sdp('answer').replace(/a=ice-ufrag:\S+/g, 'a=ice-ufrag:fresh') } });
		await settle();
		assert.deepEqual(winner.seen, ['answer', 'answer']);
	}
});

test('stanzas out of order or of another session are refused', () => {
	const { a } = joined();
	const take = (action, sid) => () => a.take(jingle(fromSDP(sdp('offer'), 'initiator', 'b'), { action, sid }));
	assert.throws(take('session-accept', 'x'), { condition: 'item-not-found', jingle: 'unknown-session' });
	assert.throws(take('session-initiate', ''), { condition: 'bad-request' });
	take('session-initiate', 'x')();
	assert.throws(take('session-accept', 'x'), { condition: 'unexpected-request', jingle: 'out-of-order' });
	assert.throws(take('content-add', 'x'), { condition: 'unexpected-request', jingle: 'out-of-order' });
	assert.throws(take('transport-info', 'y'), { condition: 'item-not-found' });
	assert.throws(take('security-info', 'x'), { condition: 'feature-not-implemented' });
	assert.throws(() => a.take(el('jingle', { xmlns: NS.jingle, action: 'session-initiate', sid: 'z' })), { condition: 'bad-request' });
});

test('HM10 names are one line without anything invisible', () => {
	for (const [typed, shown] of [
		['  Ann \t\n Lee ', 'Ann Lee'], ['\u202eevil\u202c', 'evil'], ['a\u200bb\u2060c\ufeff', 'abc'], ['\u2067\u200e', 'Guest'], ['', 'Guest'], [undefined, 'Guest'],
		['<b>x</b>', '<b>x</b>'], ['e' + '\u0301'.repeat(50), 'é\u0301\u0301'], ['x'.repeat(100), 'x'.repeat(48)], ['\ud800x', '\ufffdx'], ['Zoë', 'Zoë'], ['山田', '山田'], ['a\u{e0041}b', 'ab'],
	]) assert.equal(names.displayName(typed), shown, JSON.stringify(typed));
});

test('a message keeps its lines and loses what turns them around', () => {
	assert.equal(names.messageText('a\r\nb\u202e\u0000c'), 'a\nbc');
	assert.equal([...names.messageText('x'.repeat(9999))].length, 4001);
});

test('rooms: random names have 64 bits and more, typed ones fit an address, links are understood', () => {
	assert.equal(names.randomRoom(new Uint8Array(13)), 'aaaa-aaaa-aaaaa');
	assert.notEqual(names.randomRoom(), names.randomRoom());
	for (const [typed, room] of [
		['  Team Meeting ', 'team-meeting'], ['a/b@c:d', 'a-b-c-d'], ['https://meet.example/some%20room?x#y', 'some-room'], ['/', ''], ['ＡＢＣ', 'abc'], ['über', 'über'], ['\u202e', ''], ['https://', ''],
	]) assert.equal(names.roomName(typed), room, typed);
});

test('XML: five characters are escaped, forbidden ones left out', () => {
	assert.equal(escape('<&>"\'\u0000\ud800'), '&lt;&amp;&gt;&quot;&apos;\ufffd');
	assert.equal(serialize(el('a', { xmlns: 'x', b: '"', c: undefined }, el('d', {}, 'e<'), null, false)), '<a xmlns="x" b="&quot;"><d>e&lt;</d></a>');
	assert.equal(one(el('a', { xmlns: 'x' }, el('b', {}, el('c'))), 'b', 'x').kids[0].ns, 'x');
	assert.equal(text(undefined), '');
});

test('a link carries only known switches', () => {
	assert.deepEqual(readSwitches('#config.iceTransportPolicy="relay"&config.evil=1&iceTransportPolicy=all&config.__proto__=1'), { iceTransportPolicy: 'relay', resolution: 720 });
	assert.equal(readSwitches('#config.resolution=1e9').resolution, 2160);
	assert.equal(defaults({ hostname: 'meet.example' }).muc, 'muc.meet.example');
	assert.equal(websocketURL({ websocket: '/xmpp-websocket' }, { href: 'https://h:1/room#x' }, { room: 'a b', token: 't&' }), 'wss://h:1/xmpp-websocket?room=a+b&token=t%26');
});

test('the part of the way that is bad has words', () => {
	const said = new Set();
	for (const part of ['uplink', 'downlink', 'relay', 'bridge']) {
		const own = words.troubleWords(part, true);
		assert.match(own, /^[A-Z].*[.]$/);
		said.add(own);
	}
	assert.equal(said.size, 4);
	for (const part of ['uplink', 'relay']) assert.match(words.troubleWords(part, false), /^[a-z].*their/);
	for (const part of ['downlink', undefined, 'nonsense']) assert.equal(words.troubleWords(part, false), '', part);
	for (const part of [undefined, 'nonsense', 'toString']) assert.equal(words.troubleWords(part, true), '', part);
});

test('every failure has words', () => {
	for (const condition of ['not-authorized', 'forbidden', 'registration-required', 'service-unavailable', 'conflict', 'item-not-found', 'not-acceptable', 'not-allowed', 'resource-constraint', 'timeout', 'other']) {
		for (const step of ['conference', 'join']) assert.match(words.entryProblem(step, { condition }).text, /^[A-Z].*[.]$|\)\.$/);
	}
	for (const name of ['NotAllowedError', 'NotFoundError', 'NotReadableError', 'NotSupportedError', 'InsecureContextError', 'Odd']) assert.ok(words.mediaProblem('video', { name, message: '' }));
	for (const state of ['waiting', 'connecting', 'mending', 'connected', 'failed']) assert.ok(words.callWords({ state, name: 'Bob' }).text);
});

test('an invitation is given for a token, or it is said why there is none', async () => {
	const says = (status, body) => admit('secret', { href: 'https://meet.example/room' }, async (url, options) => {
		assert.equal(`${options.method} ${url} ${options.body}`, 'POST https://meet.example/api/v1/invitations/token {"invitation":"secret"}');
		return { ok: status === 200, status, json: async () => body };
	});
	assert.equal(await says(200, { token: 'a.b.c' }), 'a.b.c');
	for (const [status, body, said] of [
		[403, { code: 'meeting.early' }, /has not begun/], [403, { code: 'meeting.over' }, /is over/], [404, { code: 'not-found' }, /no longer good/], [422, { code: 'invalid' }, /no longer good/],
		[403, { code: 'encryption', detail: 'ask by https' }, /ask by https/], [403, {}, /does not say why/],
	]) {
		await assert.rejects(says(status, body), (e) => e instanceof Refusal && said.test(e.message), `${status} ${JSON.stringify(body)}`);
	}
	for (const [status, body] of [[200, {}], [200, null], [429, { code: 'rate' }], [500, null], [503, { code: 'store' }]]) { // it is tried again
		await assert.rejects(says(status, body), (e) => !(e instanceof Refusal), `${status}`);
	}
});
