// A client of the RoomServer protocol: it is in a room, and has a connection with each of the others there. It does what the web SDK
// 1.0.0 does, and what the protocol's specification says beyond: gates, renewal of tokens, ways back.
import { Door } from './door.js';
import { Link } from './link.js';
import { gateWords, kickProblem, loginProblem, resultProblem, tokenCodes } from './words.js';

const sdk = '1.0.0'; // that this client behaves like
const camera = 0;
const microphone = 1;
const screen = 2;

/**
 * Client enters rooms. view is what there is to be seen of it: phase is "idle", "entering", "in" or "out". Event "change": something
 * of it is different.
 */
export class Client extends EventTarget {
	#door = null;
	#turn = 0; // number of the entry: what an earlier one has asked for comes too late
	#stats = 0;
	#told = {}; // of our devices, by their numbers
	#stream = new MediaStream(); // never shown: its id is replaced by our uid

	/** appId names the application; media is ours. The rest is the browser's, unless a test says otherwise. */
	constructor({ appId, media, location = globalThis.location, system = systemOf(navigator.userAgent), Socket = globalThis.WebSocket, Connection = globalThis.RTCPeerConnection, fetch = globalThis.fetch.bind(globalThis) }) {
		super();
		Object.assign(this, { appId, media, location, system, Socket, Connection, fetch });
		this.members = new Map(); // by uid
		this.view = { phase: 'idle', members: [], gate: 0, server: { text: '', tone: 'good' }, call: { text: '', tone: 'good' } };
		media.addEventListener('change', () => this.#devices());
	}

	/** enter enters a room. uid "" has the server choose one. */
	async enter({ room, name, uid = '', token = '' }) {
		const turn = ++this.#turn;
		this.#clear();
		Object.assign(this, { room, name, uid, token, session: '' });
		this.#set({ phase: 'entering', step: 'Asking the server…', problem: '', ask: '', notice: '', renew: null, gate: 0, server: { text: '', tone: 'good' } });
		const answer = await this.#login();
		if (turn !== this.#turn) return;
		if (answer.problem) {
			this.#refused(answer.problem);
			return;
		}
		const url = new URL('/rs/ws', this.location.href); // of this host, whichever name the server has for itself: nothing else may be asked
		url.protocol = url.protocol.replace('http', 'ws');
		this.#door = new Door(url.href, {
			greet: () => this.#join(),
			beat: () => { if (this.session) this.#say('keepLive', {}, true); },
			take: (m) => this.#take(m),
			away: () => this.#set(this.view.phase === 'in' ? { server: { text: 'The connection to the server was lost. Trying again…', tone: 'busy' } } : { step: 'Connecting…' }),
			over: () => this.#refused(resultProblem({ result: 7 })),
		}, this.Socket);
		this.#set({ step: 'Connecting…', notice: answer.prompt ?? '' });
		this.#door.start();
	}

	/** leave leaves the room. */
	leave() {
		this.#turn++;
		this.#say('leave', { uname: this.name, userType: 0 });
		this.#clear();
		this.#set({ phase: 'out', problem: '', ask: '' });
	}

	/** back shows the beginning again. */
	back() {
		this.#turn++;
		this.#clear();
		this.#set({ phase: 'idle' });
	}

	/** renew gives the server another token. */
	renew(token) {
		this.offered = token;
		this.#set({ renew: { busy: true } });
		this.#say('updateToken', { token, gate: this.view.gate }, true);
	}

	/** tell shows a few words for a moment. */
	tell(notice) {
		clearTimeout(this.quiet);
		this.quiet = setTimeout(() => this.#set({ notice: '' }), 5000);
		this.#set({ notice });
	}

	// login asks whether this application may come from this page (R17, R34).
	async #login() {
		const { host, href } = this.location;
		const body = { protocol: 'req', cmd: 'login', appId: this.appId, ip: '0.0.0.0', url: href.split(/[?#]/)[0], sdkInfo: sdk, osInfo: `${this.system.os}:${this.system.browser}`, time: now() }; // its address a page does not know
		let m;
		try {
			const r = await this.fetch('/api/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body), cache: 'no-store' });
			m = await r.json();
		} catch {
			return { problem: resultProblem({ result: 7 }) };
		}
		return m.result === 0 ? { prompt: m.prompt } : { problem: loginProblem(m, { appId: this.appId, host }) };
	}

	#join() {
		if (this.view.phase === 'entering') this.#set({ step: 'Entering…' });
		this.session = ''; // until the server says that we are in
		this.#say('join', { token: this.token, uname: this.name, userType: 0, talkType: 1, osName: this.system.os, browser: this.system.browser, sdkInfo: sdk }, true);
	}

	#say(cmd, fields, asks = false) {
		const ids = { roomId: this.room, uid: this.uid };
		if (this.session) ids.sessionId = this.session;
		this.#door?.send({ protocol: 'req', cmd, appId: this.appId, ...ids, ...fields, time: now() }, asks);
	}

	#take(m) {
		switch (m.cmd) {
		case 'respJoin':
			this.#joined(m);
			break;
		case 'notifyNewPeer':
			this.#link(m).offer();
			break;
		case 'relayOffer':
			this.#link(m).answer(m.msg);
			break;
		case 'relayAnswer':
			this.members.get(m.uid)?.link?.answered(m.msg);
			break;
		case 'relayCandidate':
			this.members.get(m.uid)?.link?.candidate(m.msg);
			break;
		case 'relayTurnTalkType':
			this.#turned(m);
			break;
		case 'relayLeave':
			this.#left(m.uid);
			if (typeof m.gate === 'number') this.#gate(m.gate);
			break;
		case 'notifyGate':
			this.#gate(m.gate);
			break;
		case 'respKeepLive':
		case 'respLeave': // without having been asked: we said nothing for too long
			if (m.result !== 0) this.#join();
			break;
		case 'generalMsgResp':
			if (this.view.phase === 'entering') this.#refused(resultProblem(m));
			else if (m.data1 === 'keepLive') this.#join();
			break;
		case 'systemPromptToken':
			this.#set({ renew: {} });
			break;
		case 'systemKickUser':
			this.#kicked(m);
			break;
		case 'updateToken': // what both were called once
			if ('desc' in m) this.#kicked(m);
			else this.#set({ renew: {} });
			break;
		case 'respUpdateToken':
			if (m.result === 0) this.token = this.offered;
			this.#set({ renew: m.result === 0 ? null : { problem: resultProblem(m, { token: this.offered }) } });
			break;
		}
	}

	#joined(m) {
		if (m.result !== 0) {
			this.#refused(resultProblem(m, { uid: this.uid, token: this.token }), tokenCodes.has(m.result) ? 'token' : '');
			return;
		}
		const again = this.view.phase === 'in';
		Object.assign(this, { uid: m.uid, name: m.uname, session: m.sessionId });
		const there = new Map((m.userList ?? []).map((u) => [u.uid, u]));
		for (const uid of [...this.members.keys()]) if (!there.has(uid)) this.#left(uid);
		for (const u of there.values()) this.#member(u);
		this.#told = again ? {} : { [camera]: true, [microphone]: true }; // as talkType says
		clearInterval(this.#stats);
		this.#stats = setInterval(() => this.#measure(), 1000 * Math.max(1, m.reportStatsInterval || 15));
		this.#set({ phase: 'in', me: m.uid, name: m.uname, gate: m.gate ?? 0, server: { text: '', tone: 'good' }, since: again ? this.view.since : Date.now() });
		this.#devices();
		if (this.media.error.audio?.name === 'NotFoundError') this.#report(10, 'no microphone', null);
	}

	// member is somebody who is there, as the server tells it.
	#member({ uid, uname, userType, talkType }) {
		let member = this.members.get(uid);
		if (!member) {
			const promised = userType === 1 ? 3 : talkType ?? 1;
			member = { uid, userType: userType ?? 0, camera: promised === 1 || promised === 2, microphone: promised === 0 || promised === 1, screen: false, link: null };
			this.members.set(uid, member);
		}
		if (uname) member.name = uname;
		return member;
	}

	// link is a new connection with somebody, in place of the one that there is.
	#link(m) {
		const member = this.#member(m);
		member.link?.close();
		const own = { uid: this.uid, stream: this.#stream, outgoing: (kind) => this.media.outgoing(kind) };
		member.link = new Link(m.rtcConfig, member, own, (cmd, fields) => this.#say(cmd, { uname: this.name, remoteUid: m.uid, ...fields }), {
			change: () => this.#set({}), report: (result, desc, data) => this.#report(result, desc, data), bridged: () => this.view.gate !== 0,
		}, this.Connection);
		this.#set({});
		return member.link;
	}

	#left(uid) {
		this.members.get(uid)?.link?.close();
		this.members.delete(uid);
		this.#set({});
	}

	#turned({ uid, index, enable }) {
		const member = this.members.get(uid);
		const device = { [camera]: 'camera', [microphone]: 'microphone', [screen]: 'screen' }[index];
		if (!member || !device) return;
		member[device] = enable === true;
		this.#set({});
	}

	#gate(gate) {
		if (gate !== this.view.gate) this.#set({ gate });
	}

	// devices tells of our camera and microphone, and sends what they give.
	#devices() {
		for (const { link } of this.members.values()) link?.sends();
		if (!this.session) return;
		for (const [index, kind] of [[camera, 'video'], [microphone, 'audio']]) {
			const enable = Boolean(this.media.on[kind] && this.media.track[kind]);
			if (this.#told[index] === enable) continue;
			this.#told[index] = enable;
			this.#say('turnTalkType', { uname: this.name, index, enable }, true);
		}
	}

	async #measure() {
		for (const { uid, link } of this.members.values()) {
			const quality = await link?.stats().catch(() => undefined);
			if (quality) this.#say('reportStats', { remoteUid: uid, ...quality });
		}
	}

	#report(result, desc, data1) {
		this.#say('reportInfo', { uname: this.name, result, desc: desc.slice(0, 200), data1, data2: null });
	}

	#kicked({ desc }) {
		this.#clear();
		this.#set({ phase: 'out', problem: kickProblem(desc), ask: /token/i.test(desc ?? '') ? 'token' : '' });
	}

	// refused ends an entry, or what was one.
	#refused(problem, ask = '') {
		this.#clear();
		this.#set({ phase: this.view.phase === 'in' ? 'out' : 'idle', problem, ask });
	}

	#clear() {
		this.#door?.close();
		this.#door = null;
		this.session = '';
		clearInterval(this.#stats);
		for (const { link } of this.members.values()) link?.close();
		this.members.clear();
	}

	#set(change) {
		const members = [...this.members.values()].map(({ uid, name, camera: video, microphone: audio, screen: screens, link }) => ({
			id: uid, name: name || uid, camera: video, audio, screen: screens, state: link?.state ?? 'none', video: link?.tracks.video ?? null, sound: link?.tracks.audio ?? null,
		}));
		const gate = change.gate ?? this.view.gate;
		const failed = members.some((m) => m.state === 'failed');
		const call = failed ? { text: 'A connection is broken. Mending it…', tone: 'bad' } : { text: gateWords(members.length, gate), tone: 'good' };
		this.view = { ...this.view, ...change, members, call };
		this.dispatchEvent(new Event('change'));
	}
}

const now = () => String(Math.floor(Date.now() / 1000)); // seconds, as the SDK has it

/** systemOf reads a User-Agent: {os, browser} such as Linux and chrome120.0. */
export function systemOf(agent) {
	const os = /Windows|Android|iPhone|iPad|Mac OS X|CrOS|Linux/.exec(agent)?.[0] ?? 'Unknown';
	const found = /(Edg|Firefox)\/(\d+\.\d+)/.exec(agent) ?? /(Chrome)\/(\d+\.\d+)/.exec(agent) ?? /(Version)\/(\d+\.\d+).*Safari/.exec(agent);
	const name = { Edg: 'edge', Firefox: 'firefox', Chrome: 'chrome', Version: 'safari' }[found?.[1]];
	return { os, browser: found ? name + found[2] : 'unknown' };
}
