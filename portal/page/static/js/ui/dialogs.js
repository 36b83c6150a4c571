// Dialogues: help with the keys, settings with the devices, and the small things that several screens use.
import { Component, createRef, html } from './html.js';
import { Icon, RoundButton } from './icons.js';

/** Dialog is a modal dialogue; Escape and a click beside it close it. */
export class Dialog extends Component {
	constructor(props) {
		super(props);
		this.ref = createRef();
	}

	componentDidMount() {
		this.ref.current.showModal();
	}

	render({ title, onClose, children }) {
		return html`<dialog ref=${this.ref} aria-label=${title} onClose=${onClose} onClick=${(e) => { if (e.target === this.ref.current) this.ref.current.close(); }}>
			<div class="sheet">
				<header><h2>${title}</h2><${RoundButton} small icon="close" label="Close" onClick=${() => this.ref.current.close()} /></header>
				${children}
			</div>
		</dialog>`;
	}
}

/** keys are the shortcuts, with what they do. */
export const keys = [
	['M', 'microphone on or off'],
	['V', 'camera on or off'],
	['S', 'share the screen'],
	['C', 'open or close the chat'],
	['P', 'who is here'],
	['Q', 'what is sent, and why'],
	['G', 'all as large as each other, or one large'],
	['I', 'copy the link of this room'],
	['?', 'this help'],
	['Esc', 'close what is open'],
];

export const Help = ({ onClose, shortcuts, onShortcuts }) => html`<${Dialog} title="Keys" onClose=${onClose}>
	<dl class="keys">${keys.map(([key, what]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
	<label class="check"><input type="checkbox" checked=${shortcuts} onChange=${(e) => onShortcuts(e.target.checked)} /> Use single keys in a call</label>
</${Dialog}>`;

/** Devices lets one choose camera, microphone and, where the browser can, loudspeaker. */
export const Devices = ({ media }) => html`<div class="devices">
	<${Choice} media=${media} kind="audio" label="Microphone" />
	<${Choice} media=${media} kind="video" label="Camera" />
	${media.devices.speaker.length > 1 && 'setSinkId' in HTMLMediaElement.prototype ? html`<${Choice} media=${media} kind="speaker" label="Loudspeaker" />` : null}
</div>`;

const Choice = ({ media, kind, label }) => {
	const list = media.devices[kind];
	const now = kind === 'speaker' ? media.chosen.speaker ?? '' : media.using(kind);
	return html`<label class="field"><span>${label}</span>
		<select disabled=${list.length === 0} value=${now} onChange=${(e) => media.choose(kind, e.target.value)}>
			${list.length === 0 ? html`<option>none found</option>` : null}
			${list.map((d, i) => html`<option key=${d.id} value=${d.id} selected=${d.id === now}>${d.label || `${label} ${i + 1}`}</option>`)}
		</select></label>`;
};

export const Settings = ({ media, onClose, onTheme }) => html`<${Dialog} title="Settings" onClose=${onClose}>
	<${Devices} media=${media} />
	<button type="button" class="plain" onClick=${onTheme}><${Icon} name="theme" /> Light or dark</button>
</${Dialog}>`;

/** CopyLink copies a text and says so. */
export class CopyLink extends Component {
	#copy = async () => {
		const ok = await copy(this.props.text);
		this.setState({ done: ok ? 'Copied' : 'Copy it by hand' });
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.setState({ done: '' }), 2500);
	};

	componentWillUnmount() { clearTimeout(this.timer); }

	render({ text, label = 'Copy link' }, { done }) {
		return html`<div class="copy">
			<input readonly value=${text} aria-label="Link of this room" onFocus=${(e) => e.target.select()} />
			<button type="button" class="primary" onClick=${this.#copy}><${Icon} name=${done === 'Copied' ? 'check' : 'copy'} /> <span aria-live="polite">${done || label}</span></button>
		</div>`;
	}
}

/** copy puts a text on the clipboard and reports whether it could. */
export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		return false;
	}
}
