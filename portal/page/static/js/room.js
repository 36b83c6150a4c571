// The room (XEP-0045) in the Jitsi dialect: the conference request, joining, who is here, chat, and the seat from which
// Jingle sessions are spoken with other members. It draws nothing.

import { all, el, one, text } from './xml.js';
import { StanzaError } from './stream.js';
import { displayName, messageText } from './names.js';

const NSMUC = 'http://jabber.org/protocol/muc';
const NSUser = `${NSMUC}#user`;
const NSFocus = 'http://jitsi.org/protocol/focus';
const NSNick = 'http://jabber.org/protocol/nick';
const NSInfo = 'http://jabber.org/protocol/disco#info';
const NSJingle = 'urn:xmpp:jingle:1';
const NSGateway = 'http://jitsi.org/protocol/jigasi';

const remembered = 2000; // messages that are known again when a history tells them

// What this client can do (spec: the focus occupant), in the order in which the caps hash wants them.
const features = [
	'http://jabber.org/protocol/caps', NSInfo, 'http://jitsi.org/opus-red', 'http://jitsi.org/source-name', 'http://jitsi.org/tcc', 'http://jitsi.org/receive-multiple-video-streams',
	'http://jitsi.org/ssrc-rewriting-1', 'http://jitsi.org/rtp-mid-demux', 'urn:ietf:rfc:4588', 'urn:ietf:rfc:5761', 'urn:ietf:rfc:5888',
	NSJingle, 'urn:xmpp:jingle:apps:dtls:0', 'urn:xmpp:jingle:apps:rtp:1', 'urn:xmpp:jingle:apps:rtp:audio', 'urn:xmpp:jingle:apps:rtp:video',
	'urn:xmpp:jingle:transports:ice-udp:1', 'urn:xmpp:ping',
].sort();
const node = 'https://parley.example/page';
const identity = { category: 'client', type: 'web', name: 'Parley' };

/** capsVer is the verification string of XEP-0115 §5.1 for our features; undefined where the page may not hash. */
export async function capsVer() {
	if (!globalThis.crypto?.subtle) return undefined;
	const s = `${identity.category}/${identity.type}//${identity.name}<${features.join('<')}<`;
	const sum = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(s));
	return btoa(String.fromCharCode(...new Uint8Array(sum)));
}

/**
 * Room is one's place in a room. Events:
 *   joined        we are in; with created if nobody was here before
 *   refused       with error (StanzaError) and step, "conference" or "join"
 *   member        with member and change: "joined", "left" (with how), "changed"
 *   chat          with message {id, from, name, text, time, own, private, late}
 *   subject       with subject
 *   out           we are out: with how {kind, reason, by}
 *   focus         the focus' presence has changed, with bridge (false: it has none)
 *   jingle        with from (endpoint id) and jingle; a handler calls accept() or refuse(refusal)
 */
export class Room extends EventTarget {
	constructor(stream, name, { displayName: shown, config }) {
		super();
		this.stream = stream;
		this.name = name;
		this.jid = `${name}@${config.muc}`;
		this.config = config;
		this.shown = shown;
		this.members = new Map(); // endpoint id to member, without ourselves and the focus
		this.muted = { audio: false, video: false, screen: true };
		this.joined = false;
		this.messages = new Set();
		this.onPresence = (e) => this.#presence(e.stanza);
		this.onMessage = (e) => this.#message(e.stanza);
		stream.addEventListener('presence', this.onPresence);
		stream.addEventListener('message', this.onMessage);
		stream.serve(NSJingle, (iq, jingle) => this.#jingle(iq, jingle));
		stream.serve(NSInfo, (_, query) => this.#info(query));
		stream.serve('urn:xmpp:ping', () => undefined);
	}

	/** me is the own endpoint id: the nick in the room. */
	get me() {
		return this.nick;
	}

	/** address is one's own address in the room, peer that of another. */
	get address() {
		return `${this.jid}/${this.nick}`;
	}

	peer(id) {
		return `${this.jid}/${id}`;
	}

	/** iq asks another member by way of the room. */
	iq(to, tree) {
		return this.stream.iq(to, tree);
	}

	/** enter asks the focus for the conference and joins. It resolves when the join has been sent. */
	async enter(password) {
		const local = this.stream.jid.split('@')[0];
		this.nick = /^[0-9a-f]{8}/.test(local) ? local.slice(0, 8) : randomEndpoint();
		this.members.clear();
		this.joined = false;
		this.entering = (this.entering ?? 0) + 1;
		const attempt = this.entering;
		try {
			await this.#conference(attempt);
		} catch (error) {
			if (this.entering === attempt) this.#emit('refused', { step: 'conference', error });
			return;
		}
		this.ver ??= await capsVer();
		if (this.entering !== attempt) return;
		this.password = password;
		this.#sendPresence(el('x', { xmlns: NSMUC }, password && el('password', {}, password)));
		clearTimeout(this.joining);
		this.joining = setTimeout(() => {
			if (this.entering === attempt && !this.joined) this.#emit('refused', { step: 'join', error: new StanzaError('timeout', 'wait', 'no answer') });
		}, 20_000);
	}

	// conference is the request to the focus (spec: conference request), repeated while it says that it is not ready.
	async #conference(attempt) {
		const request = el('conference', { xmlns: NSFocus, room: this.jid, 'machine-uid': machine(), token: this.stream.token },
			el('property', { name: 'rtcstatsEnabled', value: 'false' }), el('property', { name: 'visitors-version', value: '1' }));
		for (let delay = 1000; ; delay = Math.min(delay * 2, 16_000)) {
			const answer = one(await this.stream.iq(this.config.focus, request), 'conference', NSFocus);
			this.focusJID = answer?.attrs.focusjid;
			if (answer?.attrs.ready !== 'false') return;
			await new Promise((resolve) => { setTimeout(resolve, delay); });
			if (this.entering !== attempt) return;
		}
	}

	/** leave says goodbye and listens no longer. */
	leave() {
		this.entering = (this.entering ?? 0) + 1;
		clearTimeout(this.joining);
		if (this.joined) this.stream.send(el('presence', { xmlns: 'jabber:client', to: this.address, type: 'unavailable' }));
		this.joined = false;
		this.stream.removeEventListener('presence', this.onPresence);
		this.stream.removeEventListener('message', this.onMessage);
	}

	/** tell changes what our presence says of us: {shown, audio, video, screen}, muted being true. */
	tell({ shown, audio, video, screen }) {
		this.shown = shown ?? this.shown;
		this.muted = { audio: audio ?? this.muted.audio, video: video ?? this.muted.video, screen: screen ?? this.muted.screen };
		if (this.joined) this.#sendPresence();
	}

	#sendPresence(...first) {
		const { nick, muted } = this;
		const sources = { [`${nick}-a0`]: { muted: muted.audio }, [`${nick}-v0`]: { muted: muted.video, videoType: 'camera' } };
		if (!muted.screen || this.everShared) sources[`${nick}-v1`] = { muted: muted.screen, videoType: 'desktop' };
		this.everShared ||= !muted.screen;
		this.stream.send(el('presence', { xmlns: 'jabber:client', to: this.address }, first,
			el('stats-id', {}, `Page-${nick.slice(0, 3)}`),
			this.ver && el('c', { xmlns: 'http://jabber.org/protocol/caps', hash: 'sha-1', node, ver: this.ver }),
			el('SourceInfo', {}, JSON.stringify(sources)),
			el('jitsi_participant_codecList', {}, codecs().join(',')),
			el('nick', { xmlns: NSNick }, this.shown)));
	}

	#presence(p) {
		const [room, id] = parts(p.attrs.from);
		if (room !== this.jid) return;
		const user = one(p, 'x', NSUser);
		if (p.attrs.type === 'error') {
			if (!this.joined) {
				clearTimeout(this.joining);
				this.#emit('refused', { step: 'join', error: StanzaError.of(p) });
			}
			return;
		}
		const codes = new Set(all(user, 'status').map((s) => s.attrs.code));
		if (p.attrs.type === 'unavailable') return this.#gone(id, user, codes, p);
		if (p.attrs.type) return;
		if (id === 'focus') {
			this.#emit('focus', { bridge: !one(p, 'bridgeNotAvailable', NSFocus) });
			return;
		}
		if (id === this.nick || codes.has('110')) {
			this.nick = id;
			this.role = one(user, 'item')?.attrs.role;
			if (this.joined) return;
			clearTimeout(this.joining);
			this.joined = true;
			this.#emit('joined', { created: codes.has('201') });
			return;
		}
		const known = this.members.get(id);
		const member = describe(id, p, user);
		member.since = known?.since ?? Date.now();
		this.members.set(id, member);
		this.#emit('member', { member, change: known ? 'changed' : 'joined' });
	}

	#gone(id, user, codes, p) {
		const item = one(user, 'item');
		const destroyed = one(user, 'destroy');
		const how = {
			kind: destroyed ? 'destroyed' : codes.has('301') ? 'banned' : codes.has('307') ? 'kicked' : codes.has('332') ? 'shutdown'
				: codes.has('321') || codes.has('322') ? 'removed' : codes.has('333') ? 'vanished' : 'left',
			reason: messageText(text(one(destroyed ?? item, 'reason'))),
			by: displayName(this.members.get(one(item, 'actor')?.attrs.nick)?.name, ''),
			said: messageText(text(one(p, 'status'))),
		};
		if (id === this.nick || codes.has('110')) {
			if (!this.joined) return;
			this.joined = false;
			this.members.clear();
			this.#emit('out', { how });
			return;
		}
		const member = this.members.get(id);
		if (!member) return;
		this.members.delete(id);
		this.#emit('member', { member, change: 'left', how });
	}

	#message(m) {
		const [room, id] = parts(m.attrs.from);
		if (room !== this.jid) return;
		const type = m.attrs.type;
		const subject = one(m, 'subject');
		const body = one(m, 'body');
		if (type === 'groupchat' && subject && !body) {
			this.#emit('subject', { subject: displayName(text(subject), '') });
			return;
		}
		if (type === 'error') {
			this.#emit('unsent', { id: m.attrs.id, error: StanzaError.of(m) });
			return;
		}
		if (!body || (type !== 'groupchat' && type !== 'chat') || id === undefined) return;
		const stamp = one(m, 'delay', 'urn:xmpp:delay')?.attrs.stamp;
		const time = Date.parse(stamp ?? '') || Date.now();
		// A session that enters again hears the same history again.
		const key = `${id} ${one(m, 'stanza-id')?.attrs.id ?? m.attrs.id ?? time} ${text(body)}`;
		if (m.attrs.id && this.messages.has(key)) return;
		this.messages.add(key);
		if (this.messages.size > remembered) this.messages.delete(this.messages.values().next().value);
		const own = id === this.nick && type === 'groupchat';
		this.#emit('chat', {
			message: {
				id: m.attrs.id, from: id, own, late: stamp !== undefined, private: type === 'chat', time, text: messageText(text(body)),
				name: own ? this.shown : displayName(this.members.get(id)?.name ?? (text(one(m, 'nick', NSNick)) || undefined), stamp ? displayName(id) : 'Guest'),
			},
		});
	}

	/** say sends a message to everybody in the room and returns its id. */
	say(body) {
		const id = `m${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}`;
		this.stream.send(el('message', { xmlns: 'jabber:client', to: this.jid, type: 'groupchat', id }, el('body', {}, body), el('nick', { xmlns: NSNick }, this.shown)));
		return id;
	}

	#jingle(iq, jingle) {
		const [room, id] = parts(iq.attrs.from);
		if (iq.attrs.type !== 'set' || room !== this.jid || !id) throw { condition: 'not-acceptable' };
		const event = Object.assign(new Event('jingle'), { from: id, jingle, refusal: { condition: 'service-unavailable' } });
		event.accept = () => { event.refusal = undefined; };
		event.refuse = (refusal) => { event.refusal = refusal; };
		this.dispatchEvent(event);
		if (event.refusal) throw event.refusal;
	}

	#info(query) {
		if (query.name !== 'query') throw { condition: 'feature-not-implemented' };
		return el('query', { xmlns: NSInfo, node: query.attrs.node }, el('identity', identity), features.map((f) => el('feature', { var: f })));
	}

	#emit(type, values) {
		this.dispatchEvent(Object.assign(new Event(type), values));
	}
}

function describe(id, p, user) {
	const item = one(user, 'item');
	let sources = {};
	try {
		const said = JSON.parse(text(one(p, 'SourceInfo')) || '{}');
		// A member may only describe sources of its own name.
		if (said && typeof said === 'object') sources = Object.fromEntries(Object.entries(said).filter(([name]) => name.startsWith(`${id}-`)).slice(0, 16));
	} catch {
		// Not JSON: nothing is known of the sources.
	}
	const list = Object.entries(sources).filter(([, s]) => s && typeof s === 'object').map(([name, s]) => ({
		name, kind: name[id.length + 1] === 'a' ? 'audio' : 'video', screen: s.videoType === 'desktop', muted: s.muted !== false,
	}));
	// Who is a gateway for somebody talks by way of the bridge alone (spec: p2p).
	const direct = !all(one(p, 'features'), 'feature').some((f) => f.attrs.var === NSGateway);
	const on = (kind, screen) => list.some((s) => s.kind === kind && !s.muted && (screen === undefined || s.screen === screen));
	return {
		id,
		name: displayName(text(one(p, 'nick', NSNick)), 'Guest'),
		moderator: item?.attrs.role === 'moderator',
		sources: list,
		direct,
		codecs: text(one(p, 'jitsi_participant_codecList')).toLowerCase().split(',').filter(Boolean),
		audio: on('audio'),
		video: on('video', false),
		screen: on('video', true),
	};
}

// parts parts an address into the bare JID and the resource.
function parts(jid = '') {
	const at = jid.indexOf('/');
	return at < 0 ? [jid, undefined] : [jid.slice(0, at), jid.slice(at + 1)];
}

/** codecs are the video codecs that this browser can decode. */
export function codecs() {
	const known = globalThis.RTCRtpSender?.getCapabilities?.('video')?.codecs ?? [];
	const names = known.map((c) => c.mimeType.replace(/^video\//, '').toLowerCase());
	return [...new Set(names)].filter((n) => ['av1', 'vp9', 'vp8', 'h264'].includes(n));
}

const randomEndpoint = () => [...crypto.getRandomValues(new Uint8Array(4))].map((b) => b.toString(16).padStart(2, '0')).join('');

// machine is a random name of this browser, by which a focus tells devices apart.
function machine() {
	try {
		const known = localStorage.getItem('parley.machine') ?? randomEndpoint() + randomEndpoint();
		localStorage.setItem('parley.machine', known);
		return known;
	} catch {
		return randomEndpoint() + randomEndpoint();
	}
}

