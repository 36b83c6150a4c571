// The call with one other member: an RTCPeerConnection over a Channel. Either side may offer; the channel decides whose
// offer counts. The initiator of the session mends a broken path by ICE restarts.

const graceful = 2_500; // how long a path may be disconnected before it is mended
const patience = { waiting: 15_000, connecting: 15_000, mending: 30_000 }; // after which the user is told
const mendings = 4; // restarts in a row before it is given up

/**
 * Call runs from start to close. Events: "state" with state ("waiting" for the other's offer, "connecting", "connected",
 * "mending", "failed", "ended") and why; "tracks" when the remote stream has changed; "path" when path has.
 */
export class Call extends EventTarget {
	/** ice() resolves with {iceServers, iceTransportPolicy}; outgoing(kind) is the track to send, or null. */
	constructor({ channel, initiator, ice, outgoing }) {
		super();
		this.channel = channel;
		this.id = channel.id;
		this.initiator = initiator;
		this.ice = ice;
		this.outgoing = outgoing;
		this.state = 'waiting';
		this.why = '';
		this.tracks = {}; // what comes: "audio", "video" (the camera), "screen"
		this.path = undefined; // {relay, protocol, rtt}
		this.pathSince = 0; // ms since 1970
		this.relays = 0; // candidates of ours from a TURN server
		this.iceError = undefined;
		this.restarts = 0;
		this.work = Promise.resolve();
		this.onMessage = (e) => this.#chain(() => this.#message(e));
		this.onEnd = (e) => this.#ended(e);
		this.onTrouble = (e) => { this.why = e.error.condition; };
		this.onWish = (e) => this.#wish(e);
		channel.addEventListener('message', this.onMessage);
		channel.addEventListener('end', this.onEnd);
		channel.addEventListener('trouble', this.onTrouble);
		channel.addEventListener('wish', this.onWish);
	}

	/** start makes the connection; the initiator offers. */
	start() {
		return this.#chain(async () => {
			await this.#connection();
			if (!this.initiator || this.closed) return;
			for (const kind of ['audio', 'video']) {
				const transceiver = this.pc.addTransceiver(kind, { direction: 'sendrecv', streams: [new MediaStream()] });
				await transceiver.sender.replaceTrack(this.outgoing(kind));
			}
		});
	}

	// What changes the connection happens one after the other, in the order of arrival.
	#chain(step) {
		this.work = this.work.then(() => (this.closed ? undefined : step())).catch((error) => {
			if (this.closed) return;
			console.warn('call:', error);
			this.#fail('description');
		});
		return this.work;
	}

	async #connection() {
		const config = await this.ice();
		if (this.closed || this.pc) return;
		const pc = new RTCPeerConnection({ ...config, bundlePolicy: 'max-bundle' });
		this.pc = pc;
		pc.onnegotiationneeded = () => this.#chain(() => this.#offer());
		pc.onicecandidate = ({ candidate }) => {
			if (candidate && / typ relay /.test(candidate.candidate)) this.relays++;
			this.channel.send({ iceCandidate: candidate });
		};
		pc.onicecandidateerror = ({ errorCode, errorText, url }) => { this.iceError = { errorCode, errorText, url }; };
		pc.ontrack = ({ transceiver, track }) => {
			const first = this.#first(track.kind) === transceiver;
			this.tracks = { ...this.tracks, [track.kind === 'audio' ? 'audio' : first ? 'video' : 'screen']: track };
			this.#emit('tracks');
		};
		pc.onconnectionstatechange = () => this.#connectionState();
		pc.oniceconnectionstatechange = () => this.#connectionState();
		if (this.initiator) this.#set('connecting');
		this.poll = setInterval(() => this.#look(), 2000);
		this.#hurry();
	}

	async #offer() {
		// Who has not initiated waits for the first offer; a stale wish to negotiate is dropped by the browser itself.
		if (!this.initiator && !this.pc.remoteDescription) return;
		if (this.pc.signalingState !== 'stable') return;
		await this.pc.setLocalDescription();
		this.channel.send({ offer: this.pc.localDescription });
	}

	async #message({ offer, answer, iceCandidate, sources }) {
		await this.#connection();
		const { pc } = this;
		if (!pc) return;
		if (sources) {
			// The other side has more or fewer sources now: both bring their own description up to date (spec: sources).
			const sdp = this.channel.merge(sources);
			if (!sdp) return;
			await pc.setRemoteDescription({ type: 'offer', sdp });
			await pc.setLocalDescription();
			this.channel.settled(pc.localDescription);
		} else if (offer) {
			if (this.state === 'waiting' || (this.state === 'failed' && this.why === 'silence')) {
				this.#set('connecting');
				this.#hurry();
			}
			await pc.setRemoteDescription(offer);
			for (const transceiver of pc.getTransceivers()) await this.#attach(transceiver);
			await pc.setLocalDescription();
			this.channel.send({ answer: pc.localDescription });
			await this.#screen();
		} else if (answer) {
			if (pc.signalingState === 'have-local-offer') await pc.setRemoteDescription(answer);
			await this.#screen();
		} else if (iceCandidate !== undefined) {
			try {
				await pc.addIceCandidate(iceCandidate ?? undefined);
			} catch (error) {
				console.warn('call: candidate:', error.message); // of before a restart; others may do
			}
		}
	}

	// attach sends our track of a kind on the first transceiver of that kind that the other side has offered.
	async #attach(transceiver) {
		const kind = transceiver.receiver.track.kind;
		if (transceiver !== this.#first(kind) || transceiver.direction === 'sendrecv') return;
		transceiver.direction = 'sendrecv';
		transceiver.sender.setStreams?.(new MediaStream());
		await transceiver.sender.replaceTrack(this.outgoing(kind));
	}

	#first(kind) {
		return this.pc?.getTransceivers().find((t) => t.receiver.track.kind === kind && !t.stopped);
	}

	/** refresh sends what outgoing says now. */
	refresh() {
		return this.#chain(async () => {
			for (const kind of ['audio', 'video']) {
				const sender = this.#first(kind)?.sender;
				const track = this.outgoing(kind);
				if (sender && sender.track !== track) await sender.replaceTrack(track);
			}
			await this.#screen();
		});
	}

	// screen sends the shared screen beside the camera, as a second source. Its m-line is made when it is shared for the first
	// time, and told to the other side by source-add; afterwards only the track changes.
	async #screen() {
		const { pc, channel } = this;
		const track = this.outgoing('screen');
		if (!pc) return;
		if (this.screenLine) {
			if (this.screenLine.sender.track !== track) await this.screenLine.sender.replaceTrack(track);
			return;
		}
		if (!track || !channel.accepted || pc.signalingState !== 'stable') return;
		const line = pc.getTransceivers().find((t) => t.receiver.track.kind === 'video' && t !== this.#first('video') && !t.stopped)
			?? pc.addTransceiver('video', { direction: 'sendrecv' });
		this.screenLine = line;
		line.direction = 'sendrecv';
		line.sender.setStreams?.(new MediaStream());
		await line.sender.replaceTrack(track);
		try {
			await pc.setLocalDescription();
			await pc.setRemoteDescription({ type: 'answer', sdp: channel.reserve(line.mid) });
			await channel.addSource(pc.localDescription, line.mid);
		} catch (error) { // the rest of the call is not to suffer
			console.warn('call: screen:', error);
			if (pc.signalingState === 'have-local-offer') await pc.setLocalDescription({ type: 'rollback' });
		}
	}

	#connectionState() {
		const { pc } = this;
		if (!pc || this.closed) return;
		const ice = pc.getReceivers()[0]?.transport?.iceTransport; // of all, as they are bundled
		if (ice) ice.onselectedcandidatepairchange = () => this.#otherPath();
		const broken = pc.connectionState === 'failed' || pc.iceConnectionState === 'failed';
		if (broken) return this.#mend();
		if (pc.connectionState === 'connected') {
			this.restarts = 0;
			clearTimeout(this.hurry);
			clearTimeout(this.mending);
			this.mending = undefined;
			if (this.state !== 'connected') this.pathSince = Date.now();
			this.#set('connected');
			return this.#look();
		}
		if (pc.connectionState === 'disconnected' || pc.iceConnectionState === 'disconnected') {
			if (this.state === 'connected') this.#set('mending');
			this.mending ??= setTimeout(() => this.#mend(), graceful);
		}
		return undefined;
	}

	// mend restarts ICE if that is ours to do (the initiator's), with fresh credentials of the relay.
	async #mend() {
		clearTimeout(this.mending);
		this.mending = undefined;
		if (this.closed || this.pc?.connectionState === 'connected') return;
		if (this.state !== 'failed') this.#set(this.state === 'connecting' ? 'connecting' : 'mending');
		this.#hurry();
		if (!this.initiator) return;
		if (this.restarts++ >= mendings) {
			this.#fail('path');
			return;
		}
		try {
			this.pc.setConfiguration({ ...(await this.ice()), bundlePolicy: 'max-bundle' });
		} catch {
			// The old credentials may still do.
		}
		if (this.closed) return;
		this.pc.restartIce();
		this.mending = setTimeout(() => this.#mend(), 8_000);
	}

	/** again tries once more after a failure. */
	again() {
		if (this.closed || !this.pc) return;
		this.restarts = 0;
		this.#set('mending');
		this.#mend();
	}

	#hurry() {
		clearTimeout(this.hurry);
		this.hurry = setTimeout(() => {
			if (this.closed || this.state === 'connected') return;
			this.#fail(this.state === 'waiting' ? 'silence' : 'path');
		}, patience[this.state] ?? patience.mending);
	}

	#fail(why) {
		clearTimeout(this.mending);
		this.mending = undefined;
		this.why = why;
		this.#set('failed');
	}

	#otherPath() {
		this.pathSince = Date.now();
		this.#look();
	}

	// look reads from the statistics which way the media takes.
	async #look() {
		const { pc } = this;
		if (!pc || this.closed || pc.connectionState !== 'connected') return;
		const stats = await pc.getStats();
		const all = [...stats.values()];
		const transport = all.find((s) => s.type === 'transport' && s.selectedCandidatePairId);
		const pair = transport ? stats.get(transport.selectedCandidatePairId) : all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
		if (!pair) return;
		const local = stats.get(pair.localCandidateId);
		const remote = stats.get(pair.remoteCandidateId);
		this.path = {
			relay: local?.candidateType === 'relay' || remote?.candidateType === 'relay',
			local: local?.candidateType,
			remote: remote?.candidateType,
			protocol: local?.relayProtocol ?? local?.protocol,
			rtt: pair.currentRoundTripTime,
		};
		this.#emit('path');
	}

	// wish: the other side, a Jitsi client, says how much video it wants.
	async #wish({ content, senders, maxHeight }) {
		const kind = content === 'audio' ? 'audio' : 'video';
		const sender = this.pc?.getTransceivers().find((t) => t.receiver.track.kind === kind)?.sender;
		const parameters = sender?.getParameters();
		const encoding = parameters?.encodings?.[0];
		if (!encoding) return;
		if (senders) encoding.active = senders === 'both' || senders === (this.initiator ? 'initiator' : 'responder');
		const height = sender.track?.getSettings?.().height;
		if (maxHeight > 0 && height) encoding.scaleResolutionDownBy = Math.max(1, height / maxHeight);
		await sender.setParameters(parameters).catch(() => {});
	}

	#ended({ by, reason }) {
		if (this.closed) return;
		this.why = reason;
		this.close();
		this.#set('ended', { by, reason });
	}

	/** close ends the call. */
	close(reason = 'success') {
		if (this.closed) return;
		this.closed = true;
		clearTimeout(this.hurry);
		clearTimeout(this.mending);
		clearInterval(this.poll);
		this.channel.removeEventListener('message', this.onMessage);
		this.channel.removeEventListener('end', this.onEnd);
		this.channel.removeEventListener('trouble', this.onTrouble);
		this.channel.removeEventListener('wish', this.onWish);
		this.channel.end(reason);
		if (this.pc) {
			this.pc.onconnectionstatechange = this.pc.oniceconnectionstatechange = null;
			this.pc.close();
		}
	}

	#set(state, more = {}) {
		this.state = state;
		this.#emit('state', { state, why: this.why, ...more });
	}

	#emit(type, values = {}) {
		this.dispatchEvent(Object.assign(new Event(type), values));
	}
}
