// The signaling channel of the textbooks, for pages and tests that bring their own RTCPeerConnection:
//
//	import { SignalingChannel, enter } from '/static/js/signaling.js';
//	const { id, others, iceServers } = await enter('room');
//	const signaling = new SignalingChannel(others[0]);
//	signaling.addEventListener('message', async (message) => { if (message.offer) ... });
//	signaling.send({ offer });
//
// What it carries are the stanzas of a call: Jingle in a room, over XMPP over a WebSocket.

import { Stream, iceServers } from './stream.js';
import { Room } from './room.js';
import { Channel } from './channel.js';
import { defaults, serverConfig } from './config.js';

let place; // the room that was entered: {room, channels}
const waiting = []; // channels that were made before

/**
 * enter goes into a room and resolves with one's own id, the ids of who is there, the ICE servers, and events: "joined"
 * and "left" with id. A page is in one room at a time.
 */
export async function enter(name, { displayName = 'Guest', token, location = globalThis.location, config, turnTransport } = {}) {
	place?.close();
	const stream = new Stream({ config: config ?? (await serverConfig(location)) ?? defaults(location), location, room: name, token });
	const events = new EventTarget();
	const tell = (type, values) => events.dispatchEvent(Object.assign(new Event(type), values));
	await new Promise((resolve, reject) => {
		stream.addEventListener('state', ({ state, reason }) => {
			if (state === 'online') resolve();
			if (state === 'refused' || state === 'waiting') reject(new Error(reason?.text || reason?.kind));
		});
		stream.open();
	}).catch((error) => {
		stream.close();
		throw error;
	});
	const room = new Room(stream, name, { displayName, config: stream.config });
	const channels = new Map();
	place = {
		room, channels,
		close() {
			room.leave();
			stream.close();
		},
	};
	room.addEventListener('member', ({ member, change }) => {
		if (change === 'joined') {
			for (const channel of waiting.filter((c) => !c.id)) channel.open(room, member.id);
			tell('joined', { id: member.id });
		}
		if (change === 'left') {
			for (const channel of channels.get(member.id) ?? []) channel.inner.lost();
			tell('left', { id: member.id });
		}
	});
	room.addEventListener('jingle', (e) => {
		const open = [...(channels.get(e.from) ?? [])];
		// An offer may come before the page has made its channel: one is made, and keeps the offer until it is asked for.
		const channel = open[0] ?? keep(new SignalingChannel(e.from));
		try {
			channel.inner.take(e.jingle);
			e.accept();
		} catch (error) {
			e.refuse(error.condition ? error : { condition: 'internal-server-error' });
		}
	});
	await new Promise((resolve, reject) => {
		room.addEventListener('joined', resolve);
		room.addEventListener('refused', ({ error }) => reject(error));
		room.enter();
	});
	for (const channel of [...waiting]) if (channel.id) channel.open(room, channel.id);
	return { id: room.me, others: [...room.members.keys()], iceServers: await iceServers(stream, turnTransport).catch(() => []), events, stream, room, leave: () => place.close() };
}

const kept = new Map(); // channels that were made for an offer that came early
const keep = (channel) => {
	kept.set(channel.id, channel);
	return channel;
};

/** SignalingChannel speaks with one other member. Its "message" events have offer, answer or iceCandidate; null is the end of candidates. */
export class SignalingChannel extends EventTarget {
	/** id is the other's endpoint id; without one, it is who comes next. */
	constructor(id) {
		super();
		this.id = id;
		this.early = []; // messages of both directions from before there was somebody to hear them
		this.unsent = [];
		if (id && kept.has(id)) {
			const early = kept.get(id);
			kept.delete(id);
			this.#take(early);
		} else if (place && (id || place.room.members.size > 0)) {
			this.open(place.room, id ?? [...place.room.members.keys()][0]);
		} else {
			waiting.push(this);
		}
	}

	open(room, id) {
		const at = waiting.indexOf(this);
		if (at >= 0) waiting.splice(at, 1);
		this.id = id;
		this.inner = new Channel(room, id);
		this.#listen();
		register(this);
		for (const message of this.unsent.splice(0)) this.inner.send(message);
	}

	#take(other) {
		this.inner = other.inner;
		this.early = other.early;
		other.inner.removeEventListener('message', other.heard);
		other.inner.removeEventListener('end', other.over);
		unregister(other);
		this.#listen();
		register(this);
	}

	#listen() {
		this.heard = ({ offer, answer, iceCandidate }) => {
			const values = offer ? { offer } : answer ? { answer } : { iceCandidate };
			if (this.hears) this.#tell('message', values);
			else this.early.push(values);
		};
		this.over = ({ by, reason }) => this.#tell('close', { by, reason });
		this.inner.addEventListener('message', this.heard);
		this.inner.addEventListener('end', this.over);
	}

	addEventListener(type, listener, options) {
		super.addEventListener(type, listener, options);
		if (type !== 'message' || this.hears) return;
		this.hears = true;
		queueMicrotask(() => {
			for (const values of this.early.splice(0)) this.#tell('message', values);
		});
	}

	/** send passes on {offer}, {answer} or {iceCandidate}. */
	send(message) {
		if (!this.inner) {
			this.unsent.push(message);
			return Promise.resolve();
		}
		return this.inner.send(message);
	}

	/** close ends the session. */
	close() {
		this.inner?.end();
		unregister(this);
	}

	#tell(type, values) {
		this.dispatchEvent(Object.assign(new Event(type), values));
	}
}

function register(channel) {
	const list = place.channels.get(channel.id) ?? new Set();
	place.channels.set(channel.id, list.add(channel));
}

function unregister(channel) {
	place?.channels.get(channel.id)?.delete(channel);
}
