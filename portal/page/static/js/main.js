// The page: lobby, call, good-bye. It keeps what the user has chosen, listens to the keys, and hands the rest to a Session.
import { Component, html, render } from './ui/html.js';
import { CallScreen, Out } from './ui/call.js';
import { Lobby } from './ui/lobby.js';
import { Help, Settings, copy } from './ui/dialogs.js';
import { Media } from './media.js';
import { Session } from './session.js';
import { readSwitches, serverConfig } from './config.js';
import { memory, takeToken } from './kept.js';
import { displayName, roomName } from './names.js';
import { admit } from './pass.js';
import { tilesOf } from './seats.js';

function roomOfPath() {
	try {
		return roomName(decodeURIComponent(location.pathname.slice(1)));
	} catch {
		return '';
	}
}

class App extends Component {
	constructor(props) {
		super(props);
		const { switches } = props;
		const name = memory.get('name') ?? '';
		this.media = new Media({
			audio: !switches.startWithAudioMuted && memory.get('audio') !== false, video: !switches.startWithVideoMuted && memory.get('video') !== false,
			resolution: switches.resolution, chosen: memory.get('devices') ?? {},
		});
		this.media.addEventListener('change', () => {
			memory.set('devices', this.media.chosen);
			this.setState({});
		});
		this.session = new Session({ ...props, location, media: this.media });
		this.session.addEventListener('change', () => this.#changed());
		this.state = { name, room: props.room, panel: '', dialog: '', shortcuts: memory.get('shortcuts') !== false, blocked: false, pinned: undefined };
		globalThis.parley = this.session; // for the curious, and for tests
	}

	componentDidMount() {
		this.media.start();
		addEventListener('keydown', this.#key);
		addEventListener('pagehide', () => this.session.dispose());
		addEventListener('popstate', () => location.reload());
		const { room, switches } = this.props;
		if (switches.skipLobby && room) this.#enter(room, displayName(this.state.name));
	}

	#changed() {
		const { view } = this.session;
		const title = view.phase === 'in' ? `${view.unread ? `(${view.unread}) ` : ''}${this.state.room} – Parley` : 'Parley';
		if (document.title !== title) document.title = title;
		this.setState({});
	}

	#enter = (room, name, password) => {
		memory.set('name', name === 'Guest' ? '' : name);
		memory.set('audio', this.media.on.audio);
		memory.set('video', this.media.on.video);
		if (roomOfPath() !== room) history.pushState(null, '', `/${encodeURIComponent(room)}${location.hash}`);
		this.setState({ room, name, panel: '', dialog: '', blocked: false, pinned: undefined });
		this.session.enter(room, name, password);
	};

	#panel = (panel) => {
		this.setState({ panel });
		this.session.reading(panel === 'chat');
	};

	#leave = () => {
		this.media.stop();
		this.session.leave();
		this.setState({ panel: '', dialog: '' });
	};

	// again shows the lobby of the room once more, with the camera on as it was.
	#again = () => {
		this.session.leave('idle');
		this.media.start();
	};

	#invite = async () => {
		this.session.tell(await copy(this.#link()) ? 'The link is copied: send it to somebody.' : 'The link could not be copied.');
	};

	#link() {
		return `${location.origin}/${encodeURIComponent(this.state.room)}`;
	}

	// Single keys act in the call only, and not where one writes (WCAG 2.1.4: they can be turned off).
	#key = (e) => {
		if (this.session.view.phase !== 'in' || e.ctrlKey || e.metaKey || e.altKey || e.repeat || e.isComposing || this.state.dialog) return;
		if (e.key === 'Escape') {
			if (this.state.panel) this.#panel('');
			else if (this.state.pinned) this.setState({ pinned: null });
			return;
		}
		if (!this.state.shortcuts || e.target.closest?.('input, textarea, select')) return;
		const { media } = this;
		const act = {
			m: () => this.#toggle('audio'),
			v: () => this.#toggle('video'),
			s: () => media.share(!media.track.screen),
			c: () => this.#panel(this.state.panel === 'chat' ? '' : 'chat'),
			p: () => this.#panel(this.state.panel === 'people' ? '' : 'people'),
			q: () => this.#panel(this.state.panel === 'quality' ? '' : 'quality'),
			g: this.#stage,
			i: this.#invite,
			'?': () => this.setState({ dialog: 'help' }),
		}[e.key.toLowerCase()];
		if (!act) return;
		e.preventDefault();
		act();
	};

	// stage shows who speaks, or whose screen is shared, large; or everybody alike again.
	#stage = () => {
		const tiles = tilesOf(this.session.view.members);
		const large = this.state.pinned !== null && (this.state.pinned ?? tiles.findLast((t) => t.screen)?.key);
		const { speaker } = this.session.view;
		this.setState({ pinned: large ? null : (tiles.findLast((t) => t.screen) ?? tiles.find((t) => t.member.id === speaker) ?? tiles[0])?.key });
	};

	#toggle(kind) {
		return this.media.set(kind, !(this.media.on[kind] && this.media.track[kind]));
	}

	#theme = () => globalThis.theme.next();

	render(_, { name, room, panel, dialog, shortcuts, blocked, pinned }) {
		const { media, session } = this;
		const { view } = session;
		const close = () => this.setState({ dialog: '' });
		const dialogs = dialog === 'help' ? html`<${Help} onClose=${close} shortcuts=${shortcuts} onShortcuts=${(on) => { memory.set('shortcuts', on); this.setState({ shortcuts: on }); }} />`
			: dialog === 'settings' ? html`<${Settings} media=${media} onClose=${close} onTheme=${this.#theme} />` : null;
		if (view.phase === 'in') {
			const on = {
				audio: () => this.#toggle('audio'), video: () => this.#toggle('video'), screen: () => media.share(!media.track.screen), panel: this.#panel,
				say: (text) => session.say(text), settings: () => this.setState({ dialog: 'settings' }), help: () => this.setState({ dialog: 'help' }), leave: this.#leave,
				again: () => session.again(), blocked: (e) => { if (e.name === 'NotAllowedError') this.setState({ blocked: true }); },
				pin: (key) => this.setState({ pinned: key }),
				unblock: () => { for (const v of document.querySelectorAll('video, audio')) v.play().catch(() => {}); this.setState({ blocked: false }); },
			};
			return html`<${CallScreen} view=${view} session=${session} pinned=${pinned} media=${media} room=${room} link=${this.#link()} name=${name} panel=${panel} on=${on} blocked=${blocked} />${dialogs}`;
		}
		if (view.phase === 'out') return html`<${Out} problem=${view.problem} name=${name === 'Guest' ? '' : name} room=${room} onAgain=${this.#again} onTheme=${this.#theme} />`;
		return html`<${Lobby} key=${room} media=${media} name=${name === 'Guest' ? '' : name} room=${room} problem=${view.problem} ask=${view.ask} busy=${view.phase === 'entering'} step=${view.step}
			again=${view.phase === 'refused'} onEnter=${this.#enter} onCancel=${() => session.leave('idle')} onTheme=${this.#theme} />`;
	}
}

const room = roomOfPath();
const token = takeToken(room);
const invitation = takeToken(room, 'invitation');
const config = await serverConfig(location);
render(html`<${App} config=${config} switches=${readSwitches(location.hash)} room=${room} token=${token} pass=${invitation && (() => admit(invitation, location))} />`, document.getElementById('app'));
