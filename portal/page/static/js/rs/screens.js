// What the page of the RoomServer door shows: the beginning, the call, the end.
import { Component, createRef, html } from '../ui/html.js';
import { Icon, RoundButton } from '../ui/icons.js';
import { CopyLink } from '../ui/dialogs.js';
import { Preview } from '../ui/lobby.js';
import { Self, streamOf } from '../ui/tiles.js';
import { Face, Video } from '../ui/video.js';
import { capacity, layout } from '../seats.js';

const Head = ({ onTheme }) => html`<header class="head">
	<a class="brand" href="/rs/"><img src="/static/icon.svg" alt="" width="32" height="32" /> Parley</a>
	<${RoundButton} small icon="theme" label="Light or dark" onClick=${onTheme} />
</header>`;

const TokenField = ({ value, onInput, hint }) => html`<label class="field"><span>Token</span>
	<input id="token" type="password" value=${value} autocomplete="off" required placeholder=${hint} onInput=${(e) => onInput(e.target.value)} /></label>`;

/** anyRoom is a room number of nine digits. */
export const anyRoom = (random = crypto.getRandomValues(new Uint32Array(1))[0]) => String(100_000_000 + (random % 900_000_000));

/** Entry asks for room number, user name and, where the server wants one, a token. */
export class Entry extends Component {
	constructor(props) {
		super(props);
		this.state = { room: props.room || anyRoom(), name: props.name, token: props.token ?? '' };
	}

	#enter = (e) => {
		e.preventDefault();
		const { room, name, token } = this.state;
		this.props.onEnter(room.trim(), name.trim(), token.trim());
	};

	render({ media, view, uid, onTheme, onCancel }, { room, name, token }) {
		const busy = view.phase === 'entering';
		const valid = room.trim() !== '';
		return html`<main class="lobby">
			<${Head} onTheme=${onTheme} />
			<div class="columns">
				<${Preview} media=${media} name=${name} />
				<form class="card" onSubmit=${this.#enter} aria-busy=${busy}>
					<h1>Enter a room</h1>
					<p class="lead">Whoever enters the same number is in the same room: by this page, by a client of RoomServer, or in any other way.</p>
					${view.problem ? html`<p class="alert" role="alert" id="problem">${view.problem}</p>` : null}
					<label class="field"><span>Room number</span>
						<span class="with"><input id="room" value=${room} maxlength="128" autocapitalize="off" autocomplete="off" spellcheck=${false} required onInput=${(e) => this.setState({ room: e.target.value })} />
						<${RoundButton} small icon="dice" label="Another room" onClick=${() => this.setState({ room: anyRoom() })} /></span></label>
					<label class="field"><span>User name</span>
						<input id="name" value=${name} maxlength="48" autocomplete="name" placeholder="How others see you" onInput=${(e) => this.setState({ name: e.target.value })} /></label>
					${uid ? html`<p class="lead" id="uid">Your user id is <bdi class="room">${uid}</bdi>.</p>` : null}
					${view.ask === 'token' || token ? html`<${TokenField} value=${token} hint="The permission that you were given" onInput=${(t) => this.setState({ token: t })} />` : null}
					<button class="primary wide" id="enter" disabled=${busy || !valid}>${busy ? html`<span class="spin" aria-hidden="true"></span> ${view.step}` : 'Enter the room'}</button>
					${busy ? html`<button type="button" class="plain wide" onClick=${onCancel}>Cancel</button>` : null}
				</form>
			</div>
		</main>`;
	}
}

/** Tile is the picture of somebody else. */
class Tile extends Component {
	#playing = () => this.setState({ playing: true });

	render({ member }, { playing }) {
		const track = member.camera || member.screen ? member.video : null;
		const words = member.state === 'connected' ? (member.camera ? '' : 'Camera is off') : member.state === 'failed' ? 'No connection' : member.state === 'disconnected' ? 'The connection is interrupted' : member.state === 'none' ? '' : 'Connecting…';
		const shown = Boolean(track && playing && member.state !== 'failed');
		return html`<div class=${`tile remote ${member.screen ? 'screen' : ''}`} data-uid=${member.id}>
			<${Video} stream=${streamOf(track)} muted contain=${member.screen} hidden=${!shown} onPlaying=${this.#playing} label=${member.name} />
			${shown ? null : html`<div class="blank"><${Face} name=${member.name} id=${member.id} /><p class="wait">${words}</p></div>`}
			<p class="tag">${member.audio ? null : html`<${Icon} name="micOff" /><span class="say">muted: </span>`}<bdi>${member.name}</bdi></p>
		</div>`;
	}
}

/** Tiles shows everybody for whom there is room, oneself too. */
class Tiles extends Component {
	ref = createRef();

	componentDidMount() {
		this.sizes = new ResizeObserver(([{ target }]) => this.setState({ area: { width: target.offsetWidth, height: target.offsetHeight } }));
		this.sizes.observe(this.ref.current);
	}

	componentDidUpdate() {
		const { columns, width, height } = this.grid;
		for (const [key, value] of [['--columns', columns], ['--tile-width', `${width}px`], ['--tile-height', `${height}px`]]) this.ref.current.style.setProperty(key, value);
	}

	componentWillUnmount() { this.sizes.disconnect(); }

	render({ view, media, onBlocked }, { area = { width: 0, height: 0 } }) {
		const { members } = view;
		const solo = members.length < 2;
		const places = solo ? 1 : Math.max(1, capacity(members.length + 1, area) - 1);
		const seen = members.slice(0, places);
		const left = members.length - seen.length;
		this.grid = layout(seen.length + 1, area);
		return html`<div ref=${this.ref} class=${`tiles ${solo ? 'solo' : 'grid'}`}>
			${seen.map((m) => html`<${Tile} key=${m.id} member=${m} />`)}
			<${Self} key="self" media=${media} name=${view.name} me=${view.me} overlay=${solo} />
			${left > 0 ? html`<p key="more" class="plain more">and ${left} more</p>` : null}
			<div hidden>${members.map((m) => (m.sound ? html`<${Video} key=${m.sound.id} sound stream=${streamOf(m.sound)} speaker=${media.chosen.speaker} onBlocked=${onBlocked} />` : null))}</div>
		</div>`;
	}
}

/** Renew asks for another token while there is still time. */
class Renew extends Component {
	state = { token: '' };

	#send = (e) => {
		e.preventDefault();
		this.props.onRenew(this.state.token.trim());
	};

	render({ renew }, { token }) {
		return html`<form class="renew" onSubmit=${this.#send}>
			<p role="alert" id="renew">${renew.problem || 'Your permission for this room ends soon. Paste another token to stay.'}</p>
			<${TokenField} value=${token} hint="Another token" onInput=${(t) => this.setState({ token: t })} />
			<button class="primary" disabled=${renew.busy}>Stay</button></form>`;
	}
}

/** Call is a room that one is in. */
export const Call = ({ view, media, room, link, blocked, on }) => {
	const audio = media.on.audio && media.track.audio;
	const video = media.on.video && media.track.video;
	const state = view.server.text ? view.server : view.call;
	const n = view.members.length + 1;
	return html`<main class="call">
		<header class="bar">
			<a class="brand small" href="/rs/" target="_blank" aria-label="Parley"><img src="/static/icon.svg" alt="" width="28" height="28" /></a>
			<h1>Room <bdi>${room}</bdi></h1>
			<p class=${`state ${state.tone}`} role="status" id="state"><span class="dot" aria-hidden="true"></span><span class="words">${state.text}</span></p>
			<span class="timer">${n === 1 ? '1 person' : `${n} people`}</span>
		</header>
		<section class="stage" aria-label="Call">
			${view.renew ? html`<${Renew} renew=${view.renew} onRenew=${on.renew} />` : null}
			${view.members.length === 0 ? html`<div class="alone"><h2>You are the first one here</h2><p>Send the link; the call begins when somebody comes.</p><${CopyLink} text=${link} /></div>` : null}
			<${Tiles} view=${view} media=${media} onBlocked=${on.blocked} />
			<div class="toast" role="status" aria-live="polite">${view.notice ? html`<span>${view.notice}</span>` : null}</div>
			${blocked ? html`<button type="button" class="primary sound" onClick=${on.unblock}>Turn the sound on</button>` : null}
		</section>
		<nav class="dock" aria-label="Call controls">
			<${RoundButton} icon=${audio ? 'mic' : 'micOff'} label=${audio ? 'Turn microphone off' : 'Turn microphone on'} keys="M" tone=${audio ? '' : 'off'} pressed=${!audio} onClick=${on.audio} />
			<${RoundButton} icon=${video ? 'camera' : 'cameraOff'} label=${video ? 'Turn camera off' : 'Turn camera on'} keys="V" tone=${video ? '' : 'off'} pressed=${!video} onClick=${on.video} />
			<span class="gap"></span>
			<${RoundButton} icon="leave" label="Leave the call" tone="danger" onClick=${on.leave} />
		</nav>
	</main>`;
};

/** Out is what is shown afterwards. */
export const Out = ({ problem, room, onAgain, onTheme }) => html`<main class="lobby out">
	<${Head} onTheme=${onTheme} />
	<div class="card center">
		<h1>${problem ? 'You are out of the room' : 'Good-bye'}</h1>
		${problem ? html`<p class="alert" role="alert" id="problem">${problem}</p>` : html`<p class="lead">You have left room <bdi class="room">${room}</bdi>.</p>`}
		<button type="button" class="primary wide" id="again" onClick=${onAgain}>Enter again</button>
		<a class="quiet" href="/rs/">Another room</a>
	</div>
</main>`;
