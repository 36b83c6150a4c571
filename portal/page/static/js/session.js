// A visit to a room, from entering to leaving: it joins stream, room, call and media, and keeps what the screen shows in
// one object, view, that is replaced piece by piece. Event "change": view is another one.

import { Stream, iceServers } from './stream.js';
import { Room } from './room.js';
import { Channel } from './channel.js';
import { Call } from './call.js';
import { callWords, endedWords, entryProblem, leftWords, mediaProblem, outWords, roomFull, streamProblem } from './words.js';

const longestChat = 500; // messages that are kept

export class Session extends EventTarget {
	constructor({ config, location, switches, token, media }) {
		super();
		Object.assign(this, { config, location, switches, token, media });
		this.view = {
			phase: 'idle', // idle, entering, asking, in, out, refused
			step: '', problem: '', ask: undefined,
			server: { text: '', tone: 'busy' }, call: { text: '', tone: 'busy' },
			members: [], messages: [], unread: 0, notice: '', subject: '', since: 0, me: '', peer: undefined, full: false, remote: undefined, path: undefined,
		};
		this.onMedia = () => this.#media();
		media.addEventListener('change', this.onMedia);
		this.onOnline = () => {
			this.stream?.hurry();
			if (this.call?.state === 'failed') this.call.again();
		};
		addEventListener('online', this.onOnline);
	}

	#show(changes) {
		this.view = { ...this.view, ...changes };
		this.dispatchEvent(new Event('change'));
	}

	/** enter goes into a room under a name. */
	enter(name, shown, password) {
		this.name = name;
		this.shown = shown;
		this.password = password;
		if (this.stream?.state === 'online' && this.room) {
			this.#show({ phase: 'entering', step: 'Entering the room…', problem: '', ask: undefined });
			this.room.tell({ shown });
			this.room.enter(password);
			return;
		}
		this.#show({ phase: 'entering', step: 'Connecting to the server…', problem: '', ask: undefined, messages: [], unread: 0 });
		this.stream?.close();
		this.stream = new Stream({ config: this.config, location: this.location, room: name, token: this.token });
		this.stream.addEventListener('state', (e) => this.#stream(e));
		this.stream.open();
	}

	#stream({ state, reason, resumed, until }) {
		switch (state) {
			case 'connecting':
				this.#show({ server: { text: this.view.phase === 'in' ? 'Connecting to the server again…' : 'Connecting to the server…', tone: 'busy' } });
				break;
			case 'online':
				this.#show({ server: { text: 'Connected to the server', tone: 'good' } });
				if (resumed) this.#resumed();
				else this.#begin();
				break;
			case 'waiting': {
				const seconds = Math.max(1, Math.round((until - Date.now()) / 1000));
				const goesOn = this.call?.state === 'connected' ? ' The call goes on.' : '';
				const text = `${streamProblem(reason)}${goesOn} Trying again in ${seconds} s…`;
				this.#show({ server: { text, tone: 'bad' }, ...(this.view.phase === 'entering' ? { step: text } : {}) });
				break;
			}
			case 'refused':
				this.#endCall();
				this.#show({ phase: 'refused', problem: streamProblem(reason), server: { text: streamProblem(reason), tone: 'bad' } });
				break;
			default:
		}
	}

	#resumed() {
		if (!this.room?.joined) this.#begin();
		else if (['failed', 'mending'].includes(this.call?.state)) this.call.again();
	}

	// begin enters the room with a new session: the first, or one after the server has forgotten us.
	#begin() {
		this.#endCall();
		this.room?.leave();
		const again = this.view.phase === 'in';
		const room = new Room(this.stream, this.name, { displayName: this.shown, config: this.config });
		this.room = room;
		room.muted = this.#muted();
		room.videoType = this.media.track.screen ? 'desktop' : 'camera';
		room.messages = this.seen ??= new Set();
		const on = (type, handler) => room.addEventListener(type, (e) => {
			if (this.room === room) handler(e);
		});
		on('joined', () => this.#joined(again));
		on('refused', (e) => this.#refused(e));
		on('member', (e) => this.#member(e));
		on('chat', (e) => this.#chat(e.message));
		on('unsent', (e) => this.#notice(`Your message was not delivered (${e.error.text || e.error.condition}).`));
		on('subject', (e) => this.#show({ subject: e.subject }));
		on('out', (e) => this.#out(e.how));
		on('jingle', (e) => this.#jingle(e));
		this.servers = this.#servers();
		this.#show({ ...(again ? {} : { phase: 'entering' }), step: 'Entering the room…', members: [], full: false });
		room.enter(this.password);
	}

	async #servers() {
		try {
			return await iceServers(this.stream, this.switches.turnTransport);
		} catch {
			return []; // the call may do without; if it does not, the reason will be said
		}
	}

	async #ice() {
		const iceServers = await this.servers;
		this.relayOffered = iceServers.some((s) => /^turns?:/.test(s.urls));
		return { iceServers, iceTransportPolicy: this.switches.iceTransportPolicy };
	}

	#joined(again) {
		this.#show({ phase: 'in', step: '', problem: '', me: this.room.me, since: again ? this.view.since : Date.now(), members: this.#members() });
		this.#decide();
	}

	#refused({ step, error }) {
		if (error.condition === 'gone') return; // the stream went; it will begin again
		const { text, ask } = entryProblem(step, error);
		if (ask) {
			this.#show({ phase: 'asking', problem: ask === 'password' && this.password ? 'That is not the password of this room.' : text, ask });
			return;
		}
		this.#endCall();
		this.#show({ phase: 'refused', problem: text });
		this.#closeStream();
	}

	#out(how) {
		this.#endCall();
		this.#show({ phase: 'out', problem: outWords(how), members: [] });
		this.#closeStream();
	}

	#closeStream() {
		this.room?.leave();
		this.room = undefined;
		this.stream?.close();
		this.stream = undefined;
	}

	#member({ member, change, how }) {
		if (change === 'joined' && this.room.joined) this.#notice(`${member.name} is here`);
		if (change === 'left') {
			this.#notice(leftWords(member.name, how));
			this.channels?.get(member.id)?.lost();
			this.channels?.delete(member.id);
		}
		this.#show({ members: this.#members() });
		if (this.room.joined) this.#decide();
	}

	#members() {
		return [...this.room.members.values()].sort((a, b) => a.since - b.since);
	}

	// decide starts the call when there is exactly one other member; the lexically smaller endpoint id initiates.
	#decide() {
		const { members, me } = this.room;
		if (this.call && !members.has(this.call.id)) this.#endCall();
		if (!this.call && members.size === 1) {
			const [peer] = members.values();
			this.#startCall(this.#channel(peer.id), me < peer.id);
		}
		const full = !this.call && members.size > 1;
		this.#show({ full, call: this.#callWords(), peer: this.call && members.get(this.call.id) });
		if (full) this.#show({ call: { text: roomFull, tone: 'warn' } });
	}

	#channel(id) {
		this.channels ??= new Map();
		let channel = this.channels.get(id);
		if (!channel) {
			channel = new Channel(this.room, id);
			channel.videoType = this.room.videoType;
			this.channels.set(id, channel);
		}
		return channel;
	}

	#startCall(channel, initiator) {
		const call = new Call({ channel, initiator, ice: () => this.#ice(), outgoing: (kind) => this.media.outgoing(kind) });
		this.call = call;
		const on = (type, handler) => call.addEventListener(type, (e) => {
			if (this.call === call) handler(e);
		});
		on('state', (e) => {
			if (e.state === 'mending' || e.state === 'failed') this.servers = this.#servers(); // credentials may be too old
			if (e.state === 'ended') return this.#callEnded(e);
			return this.#show({ call: this.#callWords() });
		});
		on('path', () => this.#show({ call: this.#callWords(), path: call.path }));
		on('tracks', () => this.#show({ remote: call.remote }));
		this.#show({ remote: call.remote, peer: this.room.members.get(channel.id), call: this.#callWords() });
		call.start();
	}

	#callWords() {
		const { call } = this;
		if (!call) return { text: '', tone: 'busy' };
		return callWords({
			state: call.state, why: call.why, path: call.path, initiator: call.initiator, policy: this.switches.iceTransportPolicy,
			name: this.room?.members.get(call.id)?.name ?? 'the other side', relayOffered: this.relayOffered, relays: call.relays, iceError: call.iceError,
		});
	}

	// A call that the other side has ended while it stays in the room can begin again, by its wish or ours.
	#callEnded({ by, reason }) {
		const id = this.call.id;
		const member = this.room?.members.get(id);
		this.call = undefined;
		const text = member ? endedWords(by, reason, member.name) : '';
		this.#show({ remote: undefined, path: undefined, peer: undefined, call: text ? { text, tone: 'bad', again: true } : { text: '', tone: 'busy' } });
		if (member && reason === 'replaced') this.#startCall(this.#channel(id), false);
	}

	/** again tries the call once more. */
	again() {
		if (this.call) this.call.again();
		else if (this.room?.joined) this.#decide();
	}

	#endCall() {
		const { call } = this;
		this.call = undefined;
		call?.close();
		this.channels?.clear();
		this.#show({ remote: undefined, path: undefined, peer: undefined, call: { text: '', tone: 'busy' } });
	}

	#jingle(event) {
		const { from, jingle } = event;
		if (from === 'focus') return event.refuse({ condition: 'feature-not-implemented' }); // no bridge sessions here yet
		if (!this.room.joined || !this.room.members.has(from)) return undefined;
		if (jingle.attrs.action === 'session-initiate') {
			if (this.call && this.call.id !== from) return event.refuse({ condition: 'resource-constraint' });
			if (!this.call) this.#startCall(this.#channel(from), false);
		}
		const channel = this.channels?.get(from);
		if (!channel) return event.refuse({ condition: 'item-not-found', jingle: 'unknown-session' });
		event.accept();
		try {
			channel.take(jingle);
		} catch (error) {
			event.refuse(error.condition ? error : { condition: 'internal-server-error' });
		}
		return undefined;
	}

	#chat(message) {
		const messages = [...this.view.messages, message].slice(-longestChat);
		const unread = message.own || message.late || this.chatOpen ? this.view.unread : this.view.unread + 1;
		this.#show({ messages, unread });
	}

	/** say sends a chat message. */
	say(text) {
		if (text.trim() && this.room?.joined) this.room.say(text.trim());
	}

	/** reading tells whether the chat is on the screen. */
	reading(open) {
		this.chatOpen = open;
		if (open && this.view.unread) this.#show({ unread: 0 });
	}

	#muted() {
		const { on, track } = this.media;
		return { audio: !on.audio || !track.audio, video: !track.screen && (!on.video || !track.video) };
	}

	#media() {
		const muted = this.#muted();
		const videoType = this.media.track.screen ? 'desktop' : 'camera';
		const { room, call } = this;
		if (room && (muted.audio !== room.muted.audio || muted.video !== room.muted.video || videoType !== room.videoType)) room.tell({ ...muted, videoType });
		for (const channel of this.channels?.values() ?? []) channel.videoType = videoType;
		call?.refresh();
		for (const kind of ['audio', 'video', 'screen']) {
			const error = this.media.error[kind];
			if (error && error !== this.told?.[kind] && this.view.phase === 'in') this.#notice(mediaProblem(kind, error));
			this.told = { ...this.told, [kind]: error };
		}
	}

	#notice(text) {
		clearTimeout(this.noticing);
		this.#show({ notice: text });
		this.noticing = setTimeout(() => this.#show({ notice: '' }), 5000);
	}

	/** tell shows a short notice. */
	tell(text) {
		this.#notice(text);
	}

	/** leave ends the visit; phase is what is shown next. */
	leave(phase = 'out') {
		this.media.share(false);
		this.#endCall();
		this.#closeStream();
		this.seen = undefined;
		this.#show({ phase, problem: '', members: [], full: false, notice: '' });
	}

	/** dispose lets go of everything when the page goes. */
	dispose() {
		this.leave('idle');
		this.media.removeEventListener('change', this.onMedia);
		removeEventListener('online', this.onOnline);
	}
}
