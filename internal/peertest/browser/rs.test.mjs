// The page of the RoomServer door without a browser: its connection to the server, its client, its words.
import assert from 'node:assert/strict';
import test from 'node:test';

const source = new URL('../../../portal/page/static/js/rs/', import.meta.url);
globalThis.MediaStream ??= class { id = 'stream-of-ours'; };
const { Door } = await import(new URL('door.js', source));
const { Client, systemOf } = await import(new URL('client.js', source));
const { streamID } = await import(new URL('link.js', source));
const { Report, pathOf } = await import(new URL('report.js', source));
const words = await import(new URL('words.js', source));

// What is waited for comes by promises alone.
const settle = async () => { for (let i = 0; i < 20; i++) await Promise.resolve(); };

// sockets makes a class of WebSockets that are noted, and opens them if they are to be.
function sockets(opens = true) {
	const made = [];
	class Socket {
		readyState = 0;
		sent = [];
		constructor(url) {
			this.url = url;
			made.push(this);
			if (opens) queueMicrotask(() => this.open());
		}
		open() { this.readyState = 1; this.onopen?.(); }
		send(text) { this.sent.push(JSON.parse(text)); }
		close() { this.readyState = 3; }
		lose() { this.readyState = 3; this.onclose?.(); }
		hear(m) { this.onmessage?.({ data: typeof m === 'string' ? m : JSON.stringify(m) }); }
		said(cmd) { return this.sent.filter((m) => m.cmd === cmd); }
	}
	return { Socket, made };
}

// door is one with what it has called.
function door(t, opens) {
	t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 });
	const { Socket, made } = sockets(opens);
	const calls = [];
	const d = new Door('ws://x/rs/ws', { greet: () => { calls.push('greet'); d.send({ cmd: 'join' }, true); }, beat: () => { calls.push('beat'); d.send({ cmd: 'keepLive' }, true); }, take: (m) => calls.push(m.cmd), away: () => calls.push('away'), over: () => calls.push('over') }, Socket);
	t.after(() => d.close());
	d.start();
	const pass = async (ms) => { for (; ms > 0; ms -= 500) { t.mock.timers.tick(500); await settle(); } };
	return { d, made, calls, pass };
}

test('a door says that it is there every five seconds, and takes no nonsense', async (t) => {
	const { made, calls, pass } = door(t);
	await settle();
	for (let i = 0; i < 12; i++) {
		made[0].hear({ cmd: 'ok' });
		await pass(5000);
	}
	made[0].hear('{');
	assert.equal(made.length, 1);
	const beats = calls.filter((c) => c === 'beat').length;
	assert.ok(beats >= 10 && beats <= 13, `${beats} in a minute`);
});

test('without an answer for 14 seconds there is another connection, after 32 none', async (t) => {
	const { made, calls, pass } = door(t);
	await settle();
	await pass(13_500);
	assert.equal(made.length, 1);
	await pass(3000);
	assert.equal(made.length, 2);
	await pass(40_000);
	assert.deepEqual([calls.filter((c) => c === 'over').length, calls.at(-1)], [1, 'over']);
});

test('a lost connection is made again, ten times a second apart; what comes in time ends the count', async (t) => {
	const { made, calls, pass } = door(t);
	await settle();
	for (let i = 0; i < 5; i++) {
		made.at(-1).lose();
		await pass(1000);
	}
	assert.deepEqual([made.length, made.at(-1).said('join').length], [6, 1]);
	made.at(-1).hear({ cmd: 'respJoin' });
	for (let i = 0; i < 10; i++) {
		made.at(-1).lose();
		await pass(1000);
	}
	assert.deepEqual([made.length, calls.includes('over')], [16, false]);
	made.at(-1).lose();
	assert.equal(calls.at(-1), 'over');
	await pass(60_000);
	assert.equal(made.length, 16);
});

test('a network that swallows everything ends, too', async (t) => {
	const { made, calls, pass } = door(t, false);
	await pass(60_000);
	assert.equal(calls.at(-1), 'over');
	assert.ok(made.length > 3 && made.every((s) => s.readyState === 3));
});

// Connection is what a client makes for each of the others: it notes what is done with it.
class Connection {
	static made = [];
	signalingState = 'stable';
	connectionState = 'new';
	done = [];
	list = [];
	constructor(config) { this.config = config; Connection.made.push(this); }
	addTransceiver(what, { direction }) { this.list.push(this.#transceiver(typeof what === 'string' ? what : what.kind, direction, typeof what === 'string' ? null : what)); }
	#transceiver(kind, direction, track) { return { direction, receiver: { track: { kind } }, sender: { track, setStreams() {}, replaceTrack(x) { this.track = x; } } }; }
	getTransceivers() { return this.list; }
	async createOffer(options) { this.done.push(options?.iceRestart ? 'restart' : 'offer'); return { type: 'offer', sdp: 'a=msid:stream-of-ours t' }; }
	async createAnswer() { this.done.push('answer'); return { type: 'answer', sdp: 'a=msid:stream-of-ours t' }; }
	async setLocalDescription(d) { this.localDescription = d; this.signalingState = d.type === 'offer' ? 'have-local-offer' : 'stable'; }
	async setRemoteDescription(d) {
		this.remoteDescription = d;
		this.signalingState = d.type === 'offer' ? 'have-remote-offer' : 'stable';
		if (d.type === 'offer') this.list = ['audio', 'video'].map((k) => this.#transceiver(k, 'recvonly', null));
	}
	async addIceCandidate(c) { this.done.push(c); }
	async getStats() { return new Map(); }
	becomes(state) { this.connectionState = state; this.onconnectionstatechange?.(); }
	close() { this.signalingState = 'closed'; }
}

class FakeMedia extends EventTarget {
	on = { audio: true, video: true };
	track = { audio: { kind: 'audio' }, video: { kind: 'video' } };
	error = {};
	outgoing(kind) { return this.track[kind]; }
}

// client is one that has asked to enter room 22, and the connection that it has asked over.
async function client(t, { login = { result: 0 }, uid = '', token = '' } = {}) {
	t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
	Connection.made = [];
	const { Socket, made } = sockets();
	const asked = [];
	const c = new Client({
		appId: '1', media: new FakeMedia(), location: { protocol: 'https:', host: 'x.example', href: 'https://x.example/rs/?roomId=22#y' }, system: { os: 'Linux', browser: 'chrome120.0' }, Socket, Connection,
		fetch: async (url, { body }) => { asked.push([url, JSON.parse(body)]); return { json: async () => login }; },
	});
	t.after(() => c.back());
	await c.enter({ room: '22', name: 'Ann', uid, token });
	await settle();
	return { c, asked, made };
}

const joined = { cmd: 'respJoin', result: 0, desc: 'ok', roomId: '22', uid: 'u1', uname: 'Ann', sessionId: 's1', reportStatsInterval: 15, gate: 0, userList: null };
const bob = { appId: '1', uid: 'bob', uname: 'Bob', userType: 0, talkType: 1 };
const config = { iceServers: [{ urls: ['turn:192.0.2.1'], username: 'u', credential: 'secret' }] };
const offer = JSON.stringify({ type: 'offer', sdp: 'v=0' });

test('login comes first, then the join, with all that both need', async (t) => {
	const { asked, made } = await client(t, { token: 'tok' });
	const [url, login] = asked[0];
	assert.equal(url, '/api/login');
	for (const key of ['appId', 'ip', 'url', 'sdkInfo', 'osInfo', 'time']) assert.ok(login[key], key);
	assert.equal(login.url, 'https://x.example/rs/');
	assert.equal(made[0].url, 'wss://x.example/rs/ws');
	const [join] = made[0].said('join');
	assert.deepEqual([join.protocol, join.token, join.roomId, join.uid, join.uname, join.talkType], ['req', 'tok', '22', '', 'Ann', 1]);
	assert.match(join.time, /^\d{10}$/);
});

test('who may not log in is told why, and asks no further', async (t) => {
	for (const [login, want] of [[{ result: 1 }, /does not know the application “1”/], [{ result: 2 }, /not be used from x\.example/], [{ result: 3 }, /did not understand/], [{ result: 9, desc: 'odd' }, /odd/]]) {
		const { c, made } = await client(t, { login });
		assert.deepEqual([c.view.phase, made.length], ['idle', 0]);
		assert.match(c.view.problem, want);
		t.mock.timers.reset();
	}
});

test('who is there already offers; the newcomer answers with a new connection each time', async (t) => {
	const { c, made: [s] } = await client(t);
	s.hear({ ...joined, userList: [bob] });
	assert.deepEqual([c.view.phase, c.view.members.length, Connection.made.length], ['in', 1, 0]); // the list asks for no offer
	s.hear({ cmd: 'relayOffer', uid: 'bob', uname: 'Bob', msg: offer, rtcConfig: config });
	await settle();
	s.hear({ cmd: 'relayCandidate', uid: 'bob', msg: '{"candidate":"candidate:1","label":0,"id":"audio","sdpMid":"other"}' });
	await settle();
	const [first] = Connection.made;
	assert.equal(first.config.iceServers[0].credential, 'secret');
	assert.deepEqual(first.done, ['answer', { candidate: 'candidate:1', sdpMid: 'audio', sdpMLineIndex: 0 }]);
	const [answer] = s.said('answer');
	assert.deepEqual([answer.remoteUid, answer.sessionId, JSON.parse(answer.msg).sdp], ['bob', 's1', 'a=msid:u1 t']);
	s.hear({ cmd: 'relayOffer', uid: 'bob', uname: 'Bob', msg: offer, rtcConfig: config });
	await settle();
	assert.deepEqual([Connection.made.length, first.signalingState], [2, 'closed']);
	s.hear({ cmd: 'relayLeave', uid: 'bob', gate: 0 });
	assert.deepEqual([c.view.members.length, Connection.made[1].signalingState], [0, 'closed']);
});

test('a newcomer is offered to, an observer is not asked for media', async (t) => {
	const { made: [s] } = await client(t);
	s.hear(joined);
	s.hear({ cmd: 'notifyNewPeer', ...bob, rtcConfig: config });
	s.hear({ cmd: 'notifyNewPeer', ...bob, uid: 'obs', userType: 1, rtcConfig: config });
	await settle();
	assert.deepEqual(s.said('offer').map((m) => [m.remoteUid, JSON.parse(m.msg).type]), [['bob', 'offer'], ['obs', 'offer']]);
	assert.deepEqual(Connection.made.map((k) => k.list.map((x) => x.direction).join()), ['sendrecv,sendrecv', 'sendonly,sendonly']);
	s.hear({ cmd: 'relayAnswer', uid: 'bob', msg: JSON.stringify({ type: 'answer', sdp: 'v=0' }) });
	await settle();
	assert.equal(Connection.made[0].signalingState, 'stable');
	Connection.made[0].becomes('connected');
	await settle();
	assert.deepEqual(s.said('peerConnected').map((m) => [m.remoteUid, m.connectType]), [['bob', 'Unknown']]);
});

test('who has offered mends, the other waits', async (t) => {
	const { made: [s] } = await client(t);
	s.hear(joined);
	s.hear({ cmd: 'notifyNewPeer', ...bob, rtcConfig: config });
	s.hear({ cmd: 'relayOffer', uid: 'cay', uname: 'Cay', msg: offer, rtcConfig: config });
	await settle();
	for (const k of Connection.made) k.becomes('failed');
	await settle();
	assert.deepEqual(s.said('offer').map((m) => [m.remoteUid, m.isIceReset]), [['bob', undefined], ['bob', true]]);
	s.hear({ cmd: 'notifyGate', gate: 1 }); // the bridge makes another offer when it is asked
	Connection.made[1].becomes('failed');
	await settle();
	assert.deepEqual([s.said('offer').at(-1).remoteUid, s.said('offer').at(-1).isIceReset], ['cay', true]);
});

test('a connection that does not come about is reported, without secrets', async (t) => {
	const { made: [s] } = await client(t);
	s.hear(joined);
	s.hear({ cmd: 'notifyNewPeer', ...bob, rtcConfig: config });
	await settle();
	t.mock.timers.tick(20_000);
	const [report] = s.said('reportInfo');
	assert.deepEqual([report.result, report.data1], [9, { iceServers: [{ urls: ['turn:192.0.2.1'] }] }]);
});

test('camera and microphone are told of when they change, and again to a server that may have forgotten', async (t) => {
	const { c, made: [s] } = await client(t);
	s.hear(joined);
	assert.equal(s.said('turnTalkType').length, 0); // as the join promises
	c.media.track.video = null;
	c.media.dispatchEvent(new Event('change'));
	c.media.dispatchEvent(new Event('change'));
	assert.deepEqual(s.said('turnTalkType').map((m) => [m.index, m.enable]), [[0, false]]);
	s.hear({ ...joined });
	assert.deepEqual(s.said('turnTalkType').map((m) => [m.index, m.enable]), [[0, false], [0, false], [1, true]]);
	s.hear({ cmd: 'notifyNewPeer', ...bob, rtcConfig: config });
	for (const [index, enable] of [[0, false], [1, false], [7, false]]) s.hear({ cmd: 'relayTurnTalkType', uid: 'bob', index, enable });
	assert.deepEqual(c.view.members.map((m) => [m.camera, m.audio]), [[false, false]]);
});

test('the way back: the same uid, and who has gone meanwhile is gone', async (t) => {
	const { c, made } = await client(t);
	made[0].hear({ ...joined, userList: [bob, { ...bob, uid: 'cay', uname: 'Cay' }] });
	made[0].hear({ cmd: 'relayOffer', uid: 'bob', msg: offer, rtcConfig: config });
	made[0].hear({ cmd: 'relayOffer', uid: 'cay', msg: offer, rtcConfig: config });
	await settle();
	made[0].lose();
	assert.match(c.view.server.text, /lost/);
	t.mock.timers.tick(1000);
	await settle();
	assert.deepEqual(made[1].said('join').map((m) => [m.uid, m.sessionId]), [['u1', undefined]]);
	made[1].hear({ ...joined, userList: [bob] });
	assert.deepEqual(c.view.members.map((m) => m.id), ['bob']);
	assert.deepEqual([Connection.made.map((k) => k.signalingState), c.view.server.text], [['stable', 'closed'], '']); // media go on
	for (const m of [{ cmd: 'respLeave', result: 2 }, { cmd: 'respKeepLive', result: 2 }, { cmd: 'generalMsgResp', result: 5, data1: 'keepLive' }]) made[1].hear(m); // it was put out for its silence
	made[1].hear({ cmd: 'generalMsgResp', result: 3, data1: 'odd' });
	assert.equal(made[1].said('join').length, 4);
});

test('refusals, and being put out', async (t) => {
	const { c, made: [s] } = await client(t, { uid: 'u1', token: 'old' });
	s.hear({ ...joined, result: 14, desc: 'token expired', sessionId: '' });
	assert.deepEqual([c.view.phase, c.view.ask], ['idle', 'token']);
	assert.match(c.view.problem, /expired/);
	for (const [m, want] of [[{ cmd: 'systemKickUser', desc: 'token is expire' }, /run out/], [{ cmd: 'updateToken', protocol: 'req', desc: 'token is expire' }, /run out/], [{ cmd: 'systemKickUser', desc: 'go' }, /“go”/], [{ ...joined, result: 1, desc: 'room is full, it up to max number:3' }, /more than 3/]]) {
		t.mock.timers.reset();
		const { c: d, made: [w] } = await client(t);
		w.hear(joined);
		w.hear(m);
		assert.equal(d.view.phase, 'out');
		assert.match(d.view.problem, want);
	}
});

test('another token is asked for, given and taken', async (t) => {
	const { c, made } = await client(t, { token: 'first' });
	const [s] = made;
	s.hear(joined);
	s.hear({ cmd: 'systemPromptToken' });
	assert.ok(c.view.renew);
	c.renew('bad');
	s.hear({ cmd: 'respUpdateToken', result: 13 });
	assert.match(c.view.renew.problem, /does not accept/);
	c.renew('second');
	s.hear({ cmd: 'respUpdateToken', result: 0, expireIn: 60 });
	assert.equal(c.view.renew, null);
	assert.deepEqual(s.said('updateToken').map((m) => [m.token, m.gate]), [['bad', 0], ['second', 0]]);
	s.lose();
	t.mock.timers.tick(1000);
	await settle();
	assert.equal(made[1].said('join')[0].token, 'second');
	c.leave();
	assert.equal(made[1].said('leave').length, 1);
	assert.equal(c.view.phase, 'out');
});

test('every result code has words of its own', () => {
	const said = [...Array(15).keys()].map((i) => words.resultProblem({ result: i + 1, desc: 'x' }));
	assert.equal(new Set(said).size, 15);
	for (const s of said) assert.match(s, /^[A-Z].*\.$|: x$/);
	assert.match(words.resultProblem({ result: 99, desc: 'odd' }), /\(99\): odd/);
	assert.match(words.resultProblem({ result: 12 }, { uid: 'u1' }), /“u1”/);
	assert.notEqual(words.resultProblem({ result: 13 }), words.resultProblem({ result: 13 }, { token: 't' }));
});

test('systems, stream ids, paths and reports', () => {
	for (const [agent, os, browser] of [
		['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36', 'Linux', 'chrome120.0'],
		['Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/121.0.2', 'Windows', 'edge121.0'],
		['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15', 'Mac OS X', 'safari17.1'],
		['Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', 'Linux', 'firefox128.0'],
		['odd', 'Unknown', 'unknown'],
	]) assert.deepEqual(systemOf(agent), { os, browser });
	assert.deepEqual(['u1', 'ü', 'a b/c'].map(streamID), ['u1', 'ü', 'a+b%2Fc']);
	const pair = (remote) => new Map([['t', { type: 'transport', selectedCandidatePairId: 'p' }], ['p', { localCandidateId: 'l', remoteCandidateId: 'r' }], ['l', { candidateType: 'srflx' }], ['r', { candidateType: remote }]]);
	assert.deepEqual([pathOf(pair('host')), pathOf(pair('relay')), pathOf(new Map())], ['STUN', 'TURN', 'Unknown']);
	const r = new Report();
	const at = (timestamp, bytes, lost) => new Map([['i', { id: 'i', type: 'inbound-rtp', kind: 'video', timestamp, bytesReceived: bytes, packetsReceived: bytes / 100, packetsLost: lost, frameWidth: 320, framesPerSecond: 9.6, codecId: 'c' }], ['c', { mimeType: 'video/VP8' }]]);
	assert.deepEqual(r.read(at(1000, 0, 0)).video.recv, { bitRate: null, packetsLostRate: null, codecName: 'VP8', frameRateRecv: 10, width: 320, height: null });
	const { video, audio } = r.read(at(2000, 9800, 2));
	assert.deepEqual([video.recv.bitRate, video.recv.packetsLostRate, audio.send.bitRate], [78, '0.02', null]);
});
