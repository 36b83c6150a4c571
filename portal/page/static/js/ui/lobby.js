// The lobby: who one is, which room, and whether camera and microphone work, before anybody sees or hears anything.
import { Component, html } from './html.js';
import { Icon, RoundButton } from './icons.js';
import { Face, Meter, Video } from './video.js';
import { Devices } from './dialogs.js';
import { displayName, randomRoom, roomName } from '../names.js';
import { mediaProblem } from '../words.js';

/** Preview shows one's own picture with its two switches. */
export const Preview = ({ media, name }) => {
	const { on, track, busy } = media;
	const problems = ['audio', 'video'].map((k) => mediaProblem(k, media.error[k])).filter(Boolean);
	const unique = [...new Set(problems)];
	return html`<section class="preview" aria-label="Your camera and microphone">
		<div class="tile">
			${track.video ? html`<${Video} stream=${media.stream} muted mirrored label="Your camera" />`
				: html`<div class="blank"><${Face} name=${name || '?'} id=${name} /><p>${busy ? 'Looking for your camera…' : on.video ? 'No picture' : 'Camera is off'}</p></div>`}
			<div class="over">
				<${RoundButton} icon=${on.audio ? 'mic' : 'micOff'} label=${on.audio ? 'Turn microphone off' : 'Turn microphone on'} tone=${on.audio ? 'glass' : 'off'} onClick=${() => media.set('audio', !on.audio)} />
				<${RoundButton} icon=${on.video ? 'camera' : 'cameraOff'} label=${on.video ? 'Turn camera off' : 'Turn camera on'} tone=${on.video ? 'glass' : 'off'} onClick=${() => media.set('video', !on.video)} />
			</div>
			<div class="voice"><${Meter} track=${on.audio ? track.audio : null} /></div>
		</div>
		${unique.length ? html`<ul class="problems" role="status">${unique.map((p) => html`<li key=${p}>${p}</li>`)}</ul>` : null}
		<details><summary>Camera and microphone</summary><${Devices} media=${media} /></details>
	</section>`;
};

/** Lobby asks for name and room. */
export class Lobby extends Component {
	constructor(props) {
		super(props);
		this.state = { name: props.name, room: props.room || randomRoom(), fixed: Boolean(props.room) };
	}

	#enter = (e) => {
		e.preventDefault();
		const room = roomName(this.state.room);
		if (room) this.props.onEnter(room, displayName(this.state.name), this.state.password);
	};

	render({ media, problem, ask, busy, step, onTheme, again }, { name, room, fixed, password }) {
		const valid = roomName(room) !== '';
		return html`<main class="lobby">
			<header class="head">
				<a class="brand" href="/"><img src="/static/icon.svg" alt="" width="32" height="32" /> Parley</a>
				<${RoundButton} small icon="theme" label="Light or dark" onClick=${onTheme} />
			</header>
			<div class="columns">
				<${Preview} media=${media} name=${name} />
				<form class="card" onSubmit=${this.#enter} aria-busy=${busy}>
					<h1>${fixed ? 'Ready to join?' : 'Talk face to face'}</h1>
					<p class="lead">${fixed ? html`You are about to enter <bdi class="room">${roomName(room)}</bdi>.` : 'Choose a room, send its link, and talk. Nothing to install, no account.'}</p>
					${problem ? html`<p class="alert" role="alert">${problem}</p>` : null}
					<label class="field"><span>Your name</span>
						<input id="name" value=${name} maxlength="48" autocomplete="name" placeholder="How others see you" onInput=${(e) => this.setState({ name: e.target.value })} /></label>
					${fixed ? null : html`<label class="field"><span>Room</span>
						<span class="with"><input id="room" value=${room} maxlength="200" autocapitalize="off" autocomplete="off" spellcheck=${false} required
							onInput=${(e) => this.setState({ room: e.target.value })} aria-invalid=${!valid} />
						<${RoundButton} small icon="dice" label="Another room" onClick=${() => this.setState({ room: randomRoom() })} /></span></label>`}
					${ask === 'password' ? html`<label class="field"><span>Password of the room</span>
						<input id="password" type="password" value=${password} autocomplete="off" required onInput=${(e) => this.setState({ password: e.target.value })} /></label>` : null}
					<button class="primary wide" id="enter" disabled=${busy || !valid}>${busy ? html`<span class="spin" aria-hidden="true"></span> ${step}` : again ? 'Enter again' : 'Enter the room'}</button>
					${busy ? html`<button type="button" class="plain wide" onClick=${this.props.onCancel}>Cancel</button>` : null}
					${fixed && !busy ? html`<a class="quiet" href="/">Another room</a>` : null}
				</form>
			</div>
			<p class="foot"><${Icon} name="check" /> Two people talk from browser to browser, more through the bridge of this server; picture and sound are encrypted.</p>
		</main>`;
	}
}
