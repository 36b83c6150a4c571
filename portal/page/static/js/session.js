// A visit to a room, from entering to leaving: it joins stream, room, call and media, and keeps what the screen shows in
// one object, view, that is replaced piece by piece. Event "change": view is another one.

import { Stream, iceServers } from './stream.js';
import { Room, codecs } from './room.js';
import { Gate } from './gate.js';
import { Wishes } from './wishes.js';
import { bridgeWords, callWords, endedWords, entryProblem, leftWords, mediaProblem, outWords, noBridge, streamProblem } from './words.js';

const longestChat = 500; // messages that are kept

export class Session extends EventTarget {
	constructor({ config, location, switches, token, pass, media }) {
		super();
		Object.assign(this, { config, location, switches, token, pass, media });
		this.view = {
			phase: 'idle', // idle, entering, asking, in, out, refused
			step: '', problem: '', ask: undefined,
			server: { text: '', tone: 'busy' }, call: { text: '', tone: 'busy' },
			members: [], messages: [], unread: 0, notice: '', subject: '', since: 0, me: '', full: false, path: undefined, direct: false, speaker: undefined,
		};
		this.onMedia = () => this.#media();
		media.addEventListener('change', this.onMedia);
		this.onOnline = () => {
			this.stream?.hurry();
			if (this.call?.state === 'failed') this.call.again();
		};
		addEventListener('online', this.onOnline);
	}

	/** call is the direct call, if there is one; bridge the session with the bridge. */
	get call() {
		return this.gate?.call;
	}

	get bridge() {
		return this.gate?.bridge;
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
		this.stream = new Stream({ config: this.config, location: this.location, room: name, token: this.token, pass: this.pass });
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
		on('focus', (e) => {
			this.noBridge = !e.bridge;
			this.#calls();
		});
		this.noBridge = false;
		this.servers = this.#servers();
		this.#openGate(room);
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
		this.gate.members();
		this.#calls();
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
			this.gate.gone(member.id);
		}
		this.#show({ members: this.#members() });
		if (this.room.joined && change !== 'changed') this.gate.members();
		this.#calls();
	}

	/** talking are the members with whom one talks: without a bridge, of three, only two do. */
	talking() {
		const { members, full } = this.view;
		if (full) return [];
		return this.noBridge && members.length > 1 && this.call ? members.filter((m) => m.id === this.call.id) : members;
	}

	#members() {
		return [...this.room.members.values()].sort((a, b) => a.since - b.since);
	}

	#openGate(room) {
		const preferred = [...new Set([this.switches.videoCodec, 'vp8', 'vp9', 'av1', 'h264'])].filter((c) => codecs().includes(c));
		const gate = new Gate({ room, ice: () => this.#ice(), media: this.media, preferred, location: this.location });
		this.gate = gate;
		this.ended = '';
		const on = (type, handler) => gate.addEventListener(type, (e) => {
			if (this.gate === gate) handler(e);
		});
		on('call', ({ ended }) => {
			if (gate.call) this.ended = '';
			if (ended) {
				const member = room.members.get(ended.id);
				this.ended = member ? endedWords(ended.by, ended.reason, member.name) : '';
			}
			if (['mending', 'failed'].includes(gate.call?.state) && this.lastCall !== gate.call.state) this.servers = this.#servers(); // credentials may be too old
			this.lastCall = gate.call?.state;
			this.#calls();
		});
		on('change', () => this.#calls());
		on('sending', () => this.#show({}));
		on('speaker', () => this.#calls());
		this.wishes = new Wishes((constraints) => gate.bridge.wish(constraints));
	}

	// calls shows how the media travel.
	#calls() {
		const { gate, room } = this;
		if (!gate || !room) return;
		const { call, bridge, direct } = gate;
		const { members } = room;
		const full = this.noBridge && members.size > 1 && !call && bridge.state === 'none';
		const alone = members.size === 0;
		const bridged = members.size > 1 || (bridge.state !== 'none' && [...members.values()].some((m) => !m.direct)); // the bridge is the only way
		let words = { text: '', tone: 'busy' };
		if (full) words = { text: noBridge, tone: 'warn' };
		else if (!alone && !direct && (bridged || (bridge.carrying && bridge.state === 'connected'))) words = bridgeWords(bridge.state, call?.state === 'failed');
		else if (call) words = this.#callWords();
		else if (this.ended && !alone) words = { text: this.ended, tone: 'bad', again: true };
		this.#show({ full, direct, call: words, path: call?.path, speaker: members.size > 1 ? bridge.speaker : undefined });
	}

	#callWords() {
		const { call } = this;
		return callWords({
			state: call.state, why: call.why, path: call.path, initiator: call.initiator, policy: this.switches.iceTransportPolicy,
			name: this.room?.members.get(call.id)?.name ?? 'the other side', relayOffered: this.relayOffered, relays: call.relays, iceError: call.iceError,
		});
	}

	/** track is what plays a source of a member, receiver where it comes in, sounds all that is heard. */
	track(source) {
		return this.gate?.track(source);
	}

	receiver(source) {
		return this.gate?.receiver(source);
	}

	sounds() {
		return this.gate?.sounds() ?? [];
	}

	/** again tries the call once more. */
	again() {
		if (this.room?.joined) this.gate.again();
	}

	#endCall() {
		const { gate } = this;
		this.gate = undefined;
		this.wishes?.close();
		gate?.close();
		this.#show({ path: undefined, direct: false, speaker: undefined, full: false, call: { text: '', tone: 'busy' } });
	}

	#jingle(event) {
		const { from, jingle } = event;
		if (!this.room.joined || !this.gate) return;
		event.accept();
		try {
			this.gate.take(from, jingle);
		} catch (error) {
			if (!error.condition) console.error(error);
			event.refuse(error.condition ? error : { condition: 'internal-server-error' });
		}
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
		return { audio: !on.audio || !track.audio, video: !on.video || !track.video, screen: !track.screen };
	}

	#media() {
		const muted = this.#muted();
		const { room } = this;
		if (room && ['audio', 'video', 'screen'].some((kind) => muted[kind] !== room.muted[kind])) room.tell(muted);
		this.gate?.refresh();
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
