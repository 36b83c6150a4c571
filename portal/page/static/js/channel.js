// One Jingle session (XEP-0166) with one other member of the room, seen as the channel of a textbook: it sends
// {offer}, {answer} and {iceCandidate}, and its "message" events bring the other side's.

import { all, el, one } from './xml.js';
import { NS, Malformed, Remote, candidateElement, candidateLine, changed, fromSDP, offerAction, sourceContent } from './jingle.js';
import { attr, parseSDP } from './sdp.js';

/** Refusal is how a channel answers a stanza that it cannot take: an error condition of RFC 6120 and one of Jingle. */
export class Refusal extends Error {
	constructor(condition, jingle, text) {
		super(text ?? condition);
		this.condition = condition;
		this.jingle = jingle;
	}
}

const answers = { 'session-initiate': 'session-accept', 'transport-replace': 'transport-accept', 'content-add': 'content-accept', 'content-modify': 'content-accept' };

/**
 * Channel is the session with one member. The seat gives it what it needs of the room:
 *   me            own endpoint id
 *   address       own address in the room, peer(id) that of another member
 *   iq(to, tree)  sends an IQ set and resolves with its result, or rejects with an error that has a condition
 *
 * Events: "message" with offer, answer or iceCandidate (null: the other side has no more); "end" with reason and by
 * ("us" or "them"); "trouble" with error, when a stanza was refused.
 */
export class Channel extends EventTarget {
	constructor(seat, id) {
		super();
		this.seat = seat;
		this.id = id;
		this.videoType = 'camera';
		this.#forget();
	}

	#forget() {
		this.sid = undefined;
		this.role = undefined; // ours: "initiator" or "responder"
		this.remote = undefined;
		this.sent = undefined; // our last description: {sdp, contents}
		this.pending = undefined; // our offer that has no answer yet: {action, before}, before being what was sent until then
		this.owed = undefined; // the action of their offer that we have not answered
		this.early = []; // our candidates from before our description was sent
		this.held = []; // their candidates from before their description came
		this.accepted = false;
	}

	/** open reports that there is a session, accepted or not. */
	get open() {
		return this.sid !== undefined;
	}

	/** send passes on an offer, an answer, or a candidate. It resolves when the other side has acknowledged it. */
	async send(message) {
		if (message.offer) return this.#sendOffer(message.offer);
		if (message.answer) return this.#sendAnswer(message.answer);
		for (const key of ['iceCandidate', 'new-ice-candidate', 'candidate']) {
			if (key in message) return this.#sendCandidate(message[key]);
		}
		throw new TypeError('a message has an offer, an answer or an iceCandidate');
	}

	async #sendOffer(offer) {
		if (this.owed) return; // theirs came first: the browser rolls ours back, and asks again if it is still needed
		const sdp = offer.sdp;
		let action = 'session-initiate';
		if (!this.open) {
			const { early } = this; // candidates may be faster than the offer
			this.#forget();
			this.early = early;
			this.sid = randomSid();
			this.role = 'initiator';
			this.remote = new Remote('responder');
		}
		const { contents, group } = this.#describe(sdp);
		let named = contents;
		if (this.sent) {
			action = offerAction(this.sent.sdp, this.sent.contents, sdp, contents);
			if (action !== 'transport-replace') named = changed(this.sent.contents, contents);
			if (named.length === 0) named = contents;
		}
		const pending = { action, before: this.sent };
		this.sent = { sdp, contents };
		this.pending = pending;
		const sid = this.sid;
		try {
			const done = this.#jingle(action, named, group);
			this.#flush();
			await done;
		} catch (error) {
			if (this.sid !== sid) return; // the session is another one by now: we have lost a tie, or it has ended
			const current = this.pending === pending;
			if (current) this.#withdraw();
			if (error.tie) return; // XEP-0166 §7.2.16: their offer goes first, and is here already
			this.#trouble(error);
			if (action === 'session-initiate') this.#ended('them', error.condition ?? 'failed');
		}
	}

	// withdraw forgets our offer, as the browser does when it is rolled back.
	#withdraw() {
		if (!this.pending) return;
		this.sent = this.pending.before;
		this.pending = undefined;
	}

	async #sendAnswer(answer) {
		if (!this.open || !this.owed) throw new Error('there is no offer to answer');
		const { contents, group } = this.#describe(answer.sdp);
		const action = answers[this.owed];
		const named = action === 'content-accept' ? changed(this.sent?.contents ?? [], contents) : contents;
		this.sent = { sdp: answer.sdp, contents };
		this.owed = undefined;
		if (action === 'session-accept') this.accepted = true;
		const sid = this.sid;
		try {
			const done = this.#jingle(action, named.length ? named : contents, group);
			this.#flush();
			await done;
		} catch (error) {
			if (this.sid !== sid) return;
			this.#trouble(error);
			if (action === 'session-accept') this.#ended('them', error.condition ?? 'failed');
		}
	}

	#describe(sdp) {
		return fromSDP(sdp, this.role, this.seat.me, this.videoType);
	}

	async #sendCandidate(candidate) {
		// Before the description is out, a candidate could only be refused by the other side.
		if (!this.sent || this.owed) {
			this.early.push(candidate);
			return;
		}
		const line = candidate?.candidate;
		const { media, lines } = parseSDP(this.sent.sdp);
		if (media.length === 0) return;
		const ufrag = (m) => attr(m.lines, 'ice-ufrag') ?? attr(lines, 'ice-ufrag');
		const pwd = (m) => attr(m.lines, 'ice-pwd') ?? attr(lines, 'ice-pwd');
		let m = media[0];
		let kid;
		if (line) {
			m = media.find((x) => attr(x.lines, 'mid') === candidate.sdpMid) ?? media[candidate.sdpMLineIndex ?? 0] ?? media[0];
			kid = candidateElement(line);
			if (!kid) return;
			const own = candidate.usernameFragment ?? / ufrag (\S+)/.exec(line)?.[1];
			if (own && own !== ufrag(m)) { // of a description that is not out yet, or no longer counts
				this.early = [...this.early.slice(-63), candidate];
				return;
			}
		} else {
			kid = el('gathering-complete', { xmlns: NS.complete });
		}
		const content = el('content', { creator: 'initiator', name: attr(m.lines, 'mid') ?? String(media.indexOf(m)) },
			el('transport', { xmlns: NS.ice, ufrag: ufrag(m), pwd: pwd(m) }, kid));
		try {
			await this.#jingle('transport-info', [content]);
		} catch (error) {
			if (this.open && error.condition !== 'item-not-found') this.#trouble(error);
		}
	}

	#flush() {
		const early = this.early;
		this.early = [];
		for (const candidate of early) this.#sendCandidate(candidate);
	}

	// What follows is how sources come and go in a running session (spec: sources): whose they are tells it by source-add or
	// source-remove, and each side brings its own description up to date, without an offer over the wire.

	/** reserve returns the other side's description with one more m-line, on which only we send, as an answer. */
	reserve(mid) {
		const remote = this.remote.clone();
		remote.reserve(mid, this.role, attr(parseSDP(this.sent.sdp).media[0]?.lines ?? [], 'setup'));
		this.remote = remote;
		return remote.sdp('answer');
	}

	/** addSource tells the other side of the source on an m-line of our description. */
	async addSource(description, mid) {
		this.settled(description);
		const content = this.sent.contents.find((c) => c.attrs.name === mid);
		try {
			await this.#jingle('source-add', [sourceContent(content)]);
		} catch (error) {
			if (this.open) this.#trouble(error);
		}
	}

	/** settled notes a description of ours that the other side needs no word of. */
	settled(description) {
		const { contents } = this.#describe(description.sdp);
		this.sent = { sdp: description.sdp, contents };
	}

	/** merge takes the sources of a source-add or source-remove into the other side's description, which it returns as an offer. */
	merge(jingle) {
		if (!this.open || jingle.attrs.sid !== this.sid) return undefined;
		const remote = this.remote.clone();
		if (jingle.attrs.action === 'source-add') remote.addSources(jingle);
		else remote.removeSources(jingle);
		const sdp = remote.sdp('offer');
		this.remote = remote;
		return sdp;
	}

	/** end closes the session with a reason of XEP-0166 §7.4, if there is one. */
	end(reason = 'success', text = '') {
		if (!this.open) return;
		const tree = this.#element('session-terminate', [], undefined, el('reason', {}, el(reason), text && el('text', {}, text)));
		this.seat.iq(this.seat.peer(this.id), tree).catch(() => {});
		this.#ended('us', reason);
	}

	/** lost forgets the session when the other side has gone without a word. */
	lost(reason = 'gone') {
		if (this.open) this.#ended('them', reason);
	}

	#ended(by, reason) {
		this.#forget();
		this.#emit('end', { by, reason });
	}

	#jingle(action, contents, group) {
		return this.seat.iq(this.seat.peer(this.id), this.#element(action, contents, group));
	}

	#element(action, contents, group, ...more) {
		const initiator = this.role === 'initiator' ? this.seat.address : this.seat.peer(this.id);
		const responder = action === 'session-initiate' ? undefined : this.role === 'initiator' ? this.seat.peer(this.id) : this.seat.address;
		return el('jingle', { xmlns: NS.jingle, action, sid: this.sid, initiator, responder }, contents, group, more);
	}

	/** take handles a jingle element of the other side. It returns if the IQ is to be answered with a result, else throws a Refusal. */
	take(jingle) {
		try {
			this.#take(jingle);
		} catch (error) {
			if (error instanceof Malformed) throw new Refusal('bad-request', undefined, error.message);
			throw error;
		}
	}

	#take(jingle) {
		const { action, sid } = jingle.attrs;
		if (action === 'session-initiate') return this.#initiated(jingle);
		if (!this.open || sid !== this.sid) throw new Refusal('item-not-found', 'unknown-session');
		switch (action) {
			case 'session-accept':
			case 'transport-accept':
			case 'content-accept':
				if (!this.pending || answers[this.pending.action] !== action) throw new Refusal('unexpected-request', 'out-of-order');
				return this.#answered(jingle);
			case 'transport-replace':
			case 'content-add':
			case 'content-modify':
				if (action === 'content-modify' && !all(jingle, 'content').some((c) => one(c, 'description', NS.rtp))) return this.#wish(jingle);
				if (!this.accepted) throw new Refusal('unexpected-request', 'out-of-order');
				// XEP-0166 §7.2.16: of two offers at once the initiator's goes first.
				if (this.pending && this.role === 'initiator') throw new Refusal('conflict', 'tie-break');
				return this.#reoffered(jingle, action);
			case 'transport-info':
				return this.#candidates(jingle);
			case 'source-add':
			case 'source-remove':
				if (!this.accepted) throw new Refusal('unexpected-request', 'out-of-order');
				this.remote.clone().addSources(jingle); // Malformed is told now
				return this.#emit('message', { sources: jingle });
			case 'session-info':
			case 'description-info':
				return;
			case 'session-terminate': {
				const reason = one(jingle, 'reason');
				this.#ended('them', reason?.kids.find((k) => k.name && k.name !== 'text')?.name ?? 'gone');
				return;
			}
			default:
				throw new Refusal('feature-not-implemented', 'unsupported-info');
		}
	}

	#initiated(jingle) {
		const sid = jingle.attrs.sid ?? '';
		if (!/^[\x21-\x7e]{1,128}$/.test(sid)) throw new Refusal('bad-request');
		if (this.open && this.role === 'initiator' && !this.accepted && this.sid < sid) {
			throw new Refusal('conflict', 'tie-break'); // XEP-0166 §7.2.16: the lower sid wins
		}
		const remote = new Remote('initiator');
		remote.merge(jingle);
		const sdp = remote.sdp('offer');
		const tie = this.open && this.role === 'initiator' && !this.accepted; // our own offer has lost
		if (this.open && !tie) this.#ended('them', 'replaced');
		const early = tie ? [] : this.early;
		this.#forget();
		Object.assign(this, { sid, role: 'responder', remote, owed: 'session-initiate', early });
		this.#emit('message', { offer: { type: 'offer', sdp } });
	}

	#reoffered(jingle, action) {
		const remote = this.remote.clone();
		remote.merge(jingle);
		const sdp = remote.sdp('offer');
		this.#withdraw();
		this.remote = remote;
		this.owed = action;
		this.#emit('message', { offer: { type: 'offer', sdp } });
	}

	#answered(jingle) {
		const remote = this.remote.clone();
		remote.merge(jingle);
		const sdp = remote.sdp('answer');
		this.remote = remote;
		this.pending = undefined;
		this.accepted = true;
		this.#emit('message', { answer: { type: 'answer', sdp } });
		const held = this.held;
		this.held = [];
		for (const iceCandidate of held) this.#emit('message', { iceCandidate });
	}

	#candidates(jingle) {
		const found = [];
		for (const content of all(jingle, 'content')) {
			const transport = one(content, 'transport', NS.ice);
			const ufrag = transport?.attrs.ufrag;
			const name = content.attrs.name;
			for (const c of all(transport, 'candidate')) {
				found.push({ candidate: candidateLine(c, ufrag), sdpMid: name, sdpMLineIndex: Math.max(0, this.remote.index(name)), usernameFragment: ufrag ?? null });
			}
			if (one(transport, 'gathering-complete')) found.push(null);
		}
		if (found.length > 64) throw new Malformed('too many candidates');
		for (const iceCandidate of found) {
			// An initiator may hear candidates before the answer that they belong to: they wait for it.
			const first = this.remote.contents.size === 0;
			const restarted = this.pending && iceCandidate?.usernameFragment && iceCandidate.usernameFragment !== this.remote.ufrag;
			if (first || restarted) {
				if (this.held.length < 256) this.held.push(iceCandidate);
			} else {
				this.#emit('message', { iceCandidate });
			}
		}
	}

	#wish(jingle) {
		for (const content of all(jingle, 'content')) {
			const frame = one(content, 'source-frame-height', 'http://jitsi.org/jitmeet/video');
			const height = Number(frame?.attrs.maxHeight);
			this.#emit('wish', { content: content.attrs.name, senders: content.attrs.senders, maxHeight: Number.isFinite(height) ? height : undefined });
		}
	}

	#trouble(error) {
		this.#emit('trouble', { error });
	}

	#emit(type, values) {
		this.dispatchEvent(Object.assign(new Event(type), values));
	}
}

const randomSid = () => [...crypto.getRandomValues(new Uint8Array(9))].map((b) => b.toString(36).padStart(2, '0')).join('');
