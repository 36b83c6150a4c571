// Pictures of people: video elements that keep their stream, the round picture of who has no video, and a meter of one's
// own voice.
import { Component, createRef, html } from './html.js';
import { hue, initials } from '../names.js';

/** Video shows a stream, or plays one that is only sound. The element is set from code: a stream is no attribute. */
export class Video extends Component {
	constructor(props) {
		super(props);
		this.ref = createRef();
	}

	componentDidMount() { this.#sync(); }

	componentDidUpdate() { this.#sync(); }

	componentWillUnmount() { if (this.ref.current) this.ref.current.srcObject = null; }

	#sync() {
		const { current: v } = this.ref;
		const { stream, muted, speaker } = this.props;
		if (!v) return;
		v.muted = Boolean(muted);
		if (v.srcObject !== (stream ?? null)) v.srcObject = stream ?? null;
		if (speaker && !muted && v.setSinkId && v.sinkId !== speaker) v.setSinkId(speaker).catch(() => {});
		if (stream && v.paused) v.play().catch((error) => this.props.onBlocked?.(error));
	}

	render({ mirrored, contain, hidden, label, sound, onPlaying }) {
		if (sound) return html`<audio ref=${this.ref} autoplay></audio>`;
		return html`<video ref=${this.ref} class=${`${mirrored ? 'mirrored' : ''} ${contain ? 'contain' : ''} ${hidden ? 'unseen' : ''}`} autoplay playsinline onLoadedData=${onPlaying} aria-label=${label}></video>`;
	}
}

/** Face is the round picture of somebody without video. */
export class Face extends Component {
	constructor(props) {
		super(props);
		this.ref = createRef();
	}

	componentDidMount() { this.ref.current.style.setProperty('--hue', hue(this.props.id)); }

	componentDidUpdate() { this.componentDidMount(); }

	render({ name, small }) {
		return html`<span ref=${this.ref} class=${`face ${small ? 'small' : ''}`} aria-hidden="true">${initials(name)}</span>`;
	}
}

/** Meter shows how loud the microphone is, so that one can see that it works. */
export class Meter extends Component {
	constructor(props) {
		super(props);
		this.ref = createRef();
	}

	componentDidMount() { this.#listen(); }

	componentDidUpdate(before) { if (before.track !== this.props.track) this.#listen(); }

	componentWillUnmount() { this.#stop(); }

	#stop() {
		clearInterval(this.timer);
		this.audio?.close().catch(() => {});
		this.audio = undefined;
		this.ref.current?.style.setProperty('--level', 0);
	}

	#listen() {
		this.#stop();
		const { track } = this.props;
		if (!track || !globalThis.AudioContext) return;
		const context = new AudioContext();
		const analyser = context.createAnalyser();
		analyser.fftSize = 512;
		context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
		const samples = new Float32Array(analyser.fftSize);
		let level = 0;
		this.audio = context;
		this.timer = setInterval(() => {
			analyser.getFloatTimeDomainData(samples);
			const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
			const db = rms > 0 ? Math.max(0, Math.min(1, (20 * Math.log10(rms) + 60) / 50)) : 0;
			level = Math.max(db, level * 0.8);
			this.ref.current?.style.setProperty('--level', level.toFixed(2));
		}, 60);
	}

	render() {
		return html`<span ref=${this.ref} class="meter" aria-hidden="true"><i></i><i></i><i></i><i></i><i></i></span>`;
	}
}
