// The XMPP stream over a WebSocket (RFC 7395), by Strophe: login as a guest or with a token, resumption (XEP-0198) after the
// socket was lost, pings, and IQs with a limit of time. It tells its state in events and never shows anything.

import './vendor.js';
import { all, el, elements, fromDOM, one, serialize, text } from './xml.js';
import { websocketURL } from './config.js';
import { Refusal } from './pass.js';

const { Strophe } = globalThis;
const NSStanzas = 'urn:ietf:params:xml:ns:xmpp-stanzas';

/** StanzaError is the error that an IQ or a presence was answered with. */
export class StanzaError extends Error {
	constructor(condition, type = '', text = '', element = undefined) {
		super(text || condition);
		this.condition = condition;
		this.type = type;
		this.text = text;
		this.element = element;
		this.tie = elements(element).some((k) => k.name === 'tie-break');
	}

	/** of reads the error of a stanza of type "error". */
	static of(stanza) {
		const error = one(stanza, 'error');
		const condition = elements(error).find((k) => k.ns === NSStanzas && k.name !== 'text')?.name ?? 'undefined-condition';
		return new StanzaError(condition, error?.attrs.type, text(one(error, 'text', NSStanzas)), error);
	}
}

const pingEvery = 10_000;
const pingTimeout = 5_000;
const iqTimeout = 15_000;

// The memory of one page for XEP-0198: a reload is a new session, as the room has to be entered again anyway.
class Memory {
	state = new Map();
	load(key) { return this.state.get(key); }
	save(key, value) { this.state.set(key, { ...value, unacked: [...value.unacked] }); }
	clear(key) { this.state.delete(key); }
}

/**
 * Stream keeps a stream open until it is closed. Events:
 *   state     with state: "connecting", "online", "waiting" (until: when it tries again), "refused", "closed"; with
 *             reason {kind, text}, where something went wrong; with resumed when a session goes on
 *   presence, message   with stanza
 */
export class Stream extends EventTarget {
	constructor({ config, location, room, token, pass }) {
		super();
		this.config = config;
		this.location = location;
		this.room = room;
		this.token = token;
		this.pass = pass; // makes the token of each connection, if there is one (pass.js)
		this.state = 'closed';
		this.jid = '';
		this.questions = new Map(); // IQs without an answer: id to {resolve, reject, timer, to}
		this.services = new Map(); // namespace of the payload of an incoming IQ to its handler
		this.outbox = [];
		this.tries = 0;
		this.ids = 0;
	}

	/** open starts to connect. */
	open() {
		if (this.state !== 'closed' && this.state !== 'refused') return;
		this.wanted = true;
		this.tries = 0;
		this.#fresh();
		this.#connect();
	}

	/** close ends the stream for good. */
	close() {
		this.wanted = false;
		clearTimeout(this.retry);
		clearInterval(this.pinger);
		this.#dropQuestions('closed');
		const { connection, state } = this;
		this.connection = undefined;
		if (state === 'online') connection?.disconnect();
		else connection?.reset();
		this.#set('closed');
	}

	/** hurry tries at once when the stream is waiting to try again. */
	hurry() {
		if (this.state === 'waiting') this.#connect();
		else if (this.state === 'online') this.#ping();
	}

	#fresh() {
		this.memory = new Memory();
		this.outbox = [];
		this.everOnline = false;
	}

	#connect() {
		clearTimeout(this.retry);
		this.reason = undefined;
		this.#set('connecting');
		if (this.pass) this.#ask();
		else this.#dial();
	}

	// ask gets a token before it dials.
	async #ask() {
		const attempt = this.attempt = {};
		try {
			const token = await this.pass();
			if (this.attempt !== attempt || !this.wanted) return;
			this.token = token;
			this.#dial();
		} catch (error) {
			if (this.attempt !== attempt || !this.wanted) return;
			if (error instanceof Refusal) this.#refuse({ kind: 'pass', condition: '', text: error.message });
			else this.#down({ kind: this.everOnline ? 'lost' : 'unreachable', condition: '', text: '' });
		}
	}

	#dial() {
		const previous = [...this.memory.state.values()][0]?.id;
		const url = websocketURL(this.config, this.location, { room: this.room, token: this.token, previous });
		const connection = new Strophe.Connection(url, { enableStreamManagement: true, streamManagement: { storage: this.memory, maxUnacked: 5 } });
		this.connection = connection;
		connection.sm.onFailed = (_, resume) => {
			if (!resume) return;
			this.sessionLost = true;
			connection.sm._pendingResend = []; // what was meant for the lost session must not come late into the new one
		};
		connection.connect(this.config.domain, null, (status, condition, element) => {
			if (this.connection === connection) this.#status(connection, status, condition, element);
		});
		this.deadline = setTimeout(() => {
			if (this.connection === connection && this.state === 'connecting') this.#down({ kind: 'unreachable', text: 'no answer within 15 seconds' });
		}, 15_000);
	}

	#status(connection, status, condition, element) {
		const { Status } = Strophe;
		switch (status) {
			case Status.CONNECTED:
				return this.#online(connection);
			case Status.AUTHFAIL: {
				const said = element ? text(one(fromDOM(element), 'text')) : '';
				return this.#refuse({ kind: 'login', condition: condition ?? '', text: said });
			}
			case Status.CONNFAIL:
				if (condition === 'no-auth-mech') return this.#refuse({ kind: 'login', condition, text: 'the server lets nobody in without an account' });
				this.failure = condition;
				return undefined;
			case Status.CONNTIMEOUT:
			case Status.DISCONNECTED:
				return this.#down({ kind: this.everOnline ? 'lost' : 'unreachable', condition: this.failure ?? '', text: '' });
			default:
				return undefined;
		}
	}

	#online(connection) {
		clearTimeout(this.deadline);
		const resumed = connection.hasResumed();
		if (this.sessionLost) this.#dropQuestions('session lost');
		this.sessionLost = false;
		this.tries = 0;
		this.everOnline = true;
		this.failure = undefined;
		this.jid = connection.jid;
		this.heard = Date.now();
		for (const name of ['presence', 'message', 'iq']) {
			connection.addHandler((e) => {
				this.#stanza(name, fromDOM(e));
				return true; // Strophe keeps the handler
			}, null, name);
		}
		clearInterval(this.pinger);
		this.pinger = setInterval(() => {
			if (Date.now() - this.heard >= pingEvery) this.#ping();
		}, pingEvery / 2);
		const outbox = resumed ? this.outbox : [];
		this.outbox = [];
		this.#set('online', { resumed });
		for (const tree of outbox) this.send(tree);
	}

	#ping() {
		if (this.pinging) return;
		const { connection } = this;
		this.pinging = true;
		this.iq(this.config.domain, el('ping', { xmlns: 'urn:xmpp:ping' }), { type: 'get', timeout: pingTimeout })
			.catch((error) => {
				if (error.condition !== 'timeout' || this.connection !== connection || this.state !== 'online') return;
				this.failure = 'timeout';
				this.drop();
			})
			.finally(() => { this.pinging = false; });
	}

	/** drop lets the socket go without a farewell, as a network does; the session is resumed afterwards. */
	drop() {
		if (this.state !== 'online') return;
		this.connection._proto.socket?.close();
		this.#down({ kind: 'lost', condition: this.failure ?? '', text: '' });
	}

	#down(reason) {
		const { connection } = this;
		this.connection = undefined;
		clearTimeout(this.deadline);
		clearInterval(this.pinger);
		if (connection) {
			const { socket } = connection._proto;
			connection.connect_callback = null;
			connection.reset();
			socket?.close();
		}
		if (!this.wanted) return;
		this.reason = reason;
		const delay = Math.min(30_000, 1000 * 2 ** Math.min(this.tries, 5)) * (0.5 + Math.random() / 2);
		this.tries++;
		this.retry = setTimeout(() => this.#connect(), delay);
		this.#set('waiting', { until: Date.now() + delay });
	}

	#refuse(reason) {
		this.wanted = false;
		this.reason = reason;
		clearTimeout(this.deadline);
		const { connection } = this;
		this.connection = undefined;
		this.#dropQuestions('refused');
		setTimeout(() => connection?.disconnect(), 0);
		this.#set('refused');
	}

	#set(state, more = {}) {
		this.state = state;
		this.#emit('state', { state, reason: this.reason, ...more });
	}

	#stanza(name, stanza) {
		this.heard = Date.now();
		if (name !== 'iq') return this.#emit(name, { stanza });
		const { type, id, from } = stanza.attrs;
		if (type === 'result' || type === 'error') {
			const q = this.questions.get(id);
			if (!q || (q.to ?? '') !== (from ?? '') && !this.#own(q.to, from)) return undefined; // nobody else may answer
			this.questions.delete(id);
			clearTimeout(q.timer);
			return type === 'result' ? q.resolve(stanza) : q.reject(StanzaError.of(stanza));
		}
		return this.#serve(stanza);
	}

	// own reports that a question without "to" was answered by one's own server.
	#own(to, from) {
		return !to && (from === this.jid || from === this.jid.split('/')[0] || from === this.config.domain);
	}

	#serve(iq) {
		const payload = elements(iq)[0];
		const serve = this.services.get(payload?.ns);
		try {
			if (!serve) throw { condition: 'service-unavailable' };
			const result = serve(iq, payload);
			this.send(el('iq', { xmlns: 'jabber:client', type: 'result', to: iq.attrs.from, id: iq.attrs.id }, result));
		} catch (error) {
			if (!error.condition) console.error(error);
			const jingle = error.jingle && el(error.jingle, { xmlns: 'urn:xmpp:jingle:errors:1' });
			this.send(el('iq', { xmlns: 'jabber:client', type: 'error', to: iq.attrs.from, id: iq.attrs.id },
				el('error', { type: error.condition === 'bad-request' ? 'modify' : 'cancel' }, el(error.condition ?? 'internal-server-error', { xmlns: NSStanzas }), jingle)));
		}
	}

	/** serve registers a handler for incoming IQs whose payload is of a namespace: it returns the result's payload or throws {condition, jingle}. */
	serve(ns, handler) {
		this.services.set(ns, handler);
	}

	/** iq asks and resolves with the answer; it rejects with a StanzaError, with condition "timeout" if there is none. */
	iq(to, payload, { type = 'set', timeout = iqTimeout } = {}) {
		const id = `q${++this.ids}-${Math.random().toString(36).slice(2, 8)}`;
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => {
				this.questions.delete(id);
				reject(new StanzaError('timeout', 'wait', 'no answer'));
			}, timeout);
			this.questions.set(id, { resolve, reject, timer, to });
			this.send(el('iq', { xmlns: 'jabber:client', type, to, id }, payload));
		});
	}

	/** send sends a stanza; while the stream is being resumed it waits. */
	send(tree) {
		if (this.state !== 'online') {
			if (this.wanted && this.outbox.length < 200) this.outbox.push(tree);
			return;
		}
		const e = new DOMParser().parseFromString(serialize(tree), 'application/xml').documentElement;
		this.connection.send(e);
	}

	#dropQuestions(why) {
		for (const q of this.questions.values()) {
			clearTimeout(q.timer);
			q.reject(new StanzaError('gone', 'cancel', why));
		}
		this.questions.clear();
	}

	#emit(type, values) {
		this.dispatchEvent(Object.assign(new Event(type), values));
	}
}

/** iceServers asks for STUN and TURN servers with this session's credentials (XEP-0215) and returns them as the browser wants them. */
export async function iceServers(stream, turnTransport) {
	const answer = await stream.iq(stream.config.domain, el('services', { xmlns: 'urn:xmpp:extdisco:2' }), { type: 'get' });
	return toIceServers(all(one(answer, 'services'), 'service'), turnTransport);
}

/** toIceServers turns XEP-0215's services into RTCIceServers. turnTransport keeps only TURN servers of that transport. */
export function toIceServers(services, turnTransport) {
	const found = [];
	for (const { attrs: s } of services) {
		if (!/^(stun|turn)s?$/.test(s.type ?? '') || !/^[\w.:[\]-]+$/.test(s.host ?? '')) continue;
		const turn = s.type.startsWith('turn');
		if (turnTransport && (!turn || s.transport !== turnTransport)) continue;
		const host = s.host.includes(':') && !s.host.startsWith('[') ? `[${s.host}]` : s.host;
		const urls = `${s.type}:${host}${s.port ? ':' + Number(s.port) : ''}${turn && s.transport ? '?transport=' + s.transport : ''}`;
		if (!turn) found.push({ urls });
		else if (s.username && s.password) found.push({ urls, username: s.username, credential: s.password });
	}
	return found;
}
