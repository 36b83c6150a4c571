// Our own camera, microphone and screen: what is chosen, what is on, what went wrong.

const kinds = { audio: 'audioinput', video: 'videoinput' };

const wishes = (resolution) => ({
	audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
	video: { width: { ideal: Math.round(resolution * 16 / 9) }, height: { ideal: resolution }, frameRate: { ideal: 30, max: 30 } },
});

/**
 * Media holds the local tracks. A microphone that is muted keeps its track and sends silence; a camera that is off is
 * released, so that its light goes out. Event "change": something of it is different.
 */
export class Media extends EventTarget {
	constructor({ audio = true, video = true, resolution = 720, chosen = {} } = {}) {
		super();
		this.wishes = wishes(resolution);
		this.on = { audio, video };
		this.track = { audio: null, video: null, screen: null };
		this.error = { audio: null, video: null, screen: null }; // DOMException or Error
		this.chosen = { audio: chosen.audio, video: chosen.video, speaker: chosen.speaker };
		this.devices = { audio: [], video: [], speaker: [] };
		this.stream = new MediaStream(); // what the preview shows
		this.busy = false;
		this.refresh = () => this.list();
	}

	/** start opens what is on. Both are asked for at once, so that the browser asks once; if that fails, each alone. */
	async start() {
		navigator.mediaDevices?.addEventListener?.('devicechange', this.refresh);
		const want = Object.keys(kinds).filter((k) => this.on[k] && !live(this.track[k]));
		this.busy = true;
		this.#changed();
		try {
			if (want.length === 2) {
				try {
					const stream = await this.#get(want);
					for (const t of stream.getTracks()) this.#use(t.kind, t);
					return;
				} catch {
					// one of them may still work
				}
			}
			for (const kind of want) await this.#open(kind);
		} finally {
			this.busy = false;
			await this.list();
		}
	}

	async #open(kind) {
		try {
			const stream = await this.#get([kind]);
			this.#use(kind, stream.getTracks()[0]);
		} catch (error) {
			this.error[kind] = error;
			this.on[kind] = false;
			this.#use(kind, null);
			this.error[kind] = error;
		}
	}

	#get(list) {
		if (!navigator.mediaDevices?.getUserMedia) return Promise.reject(new DOMException('no secure context', 'InsecureContextError'));
		const constraints = {};
		for (const kind of list) {
			constraints[kind] = { ...this.wishes[kind], ...(this.chosen[kind] ? { deviceId: { ideal: this.chosen[kind] } } : {}) };
		}
		return navigator.mediaDevices.getUserMedia(constraints);
	}

	#use(kind, track) {
		const old = this.track[kind];
		if (old && old !== track) {
			old.onended = null;
			old.stop();
			this.stream.removeTrack(old);
		}
		this.track[kind] = track;
		if (track) {
			this.error[kind] = null;
			track.enabled = kind === 'audio' ? this.on.audio : true;
			if (kind === 'video') track.contentHint = 'motion';
			this.stream.addTrack(track);
			track.onended = () => { // unplugged, or taken away by the system
				this.error[kind] = new DOMException('the device has gone', 'NotReadableError');
				this.on[kind] = false;
				this.#use(kind, null);
			};
		}
		this.#changed();
	}

	/** set turns the microphone or the camera on or off. */
	async set(kind, on) {
		this.on[kind] = on;
		if (kind === 'audio') {
			if (on && !live(this.track.audio)) await this.#open('audio');
			else if (this.track.audio) this.track.audio.enabled = on;
		} else if (!on) {
			this.#use('video', null);
		} else if (!live(this.track.video)) {
			await this.#open('video');
			if (!this.on.video) this.#use('video', null); // turned off again meanwhile
		}
		this.#changed();
	}

	/** choose takes another microphone or camera, at once if it is on. */
	async choose(kind, deviceId) {
		this.chosen[kind] = deviceId;
		if (kind !== 'speaker' && this.on[kind]) {
			this.#use(kind, null);
			await this.#open(kind);
		}
		this.#changed();
	}

	/** share starts or ends sharing the screen. It returns whether the screen is shared now. */
	async share(on) {
		const old = this.track.screen;
		if (old) {
			old.onended = null;
			old.stop();
		}
		this.track.screen = null;
		this.error.screen = null;
		if (on) {
			try {
				if (!navigator.mediaDevices?.getDisplayMedia) throw new DOMException('not here', 'NotSupportedError');
				const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: false });
				const [track] = stream.getVideoTracks();
				track.contentHint = 'detail';
				track.onended = () => this.share(false);
				this.track.screen = track;
			} catch (error) {
				// Who closes the browser's dialogue has changed their mind: that is no error.
				if (error.name !== 'NotAllowedError' && error.name !== 'AbortError') this.error.screen = error;
			}
		}
		this.#changed();
		return this.track.screen !== null;
	}

	/** outgoing is the track that is to be sent as "audio", "video" or "screen", or null. */
	outgoing(kind) {
		return this.track[kind];
	}

	/** list asks for the devices; their names are known once the user has allowed one. */
	async list() {
		try {
			const all = await navigator.mediaDevices.enumerateDevices();
			const named = (kind) => all.filter((d) => d.kind === kind && d.deviceId).map((d) => ({ id: d.deviceId, label: d.label }));
			this.devices = { audio: named('audioinput'), video: named('videoinput'), speaker: named('audiooutput') };
		} catch {
			this.devices = { audio: [], video: [], speaker: [] };
		}
		this.#changed();
	}

	/** stop releases everything. */
	stop() {
		navigator.mediaDevices?.removeEventListener?.('devicechange', this.refresh);
		for (const track of Object.values(this.track)) {
			if (!track) continue;
			track.onended = null;
			track.stop();
		}
		this.track = { audio: null, video: null, screen: null };
		this.stream = new MediaStream();
	}

	/** using is the id of the device of a kind that is in use. */
	using(kind) {
		return this.track[kind]?.getSettings?.().deviceId ?? this.chosen[kind] ?? '';
	}

	#changed() {
		this.dispatchEvent(new Event('change'));
	}
}

const live = (track) => track?.readyState === 'live';
