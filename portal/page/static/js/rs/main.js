// The page of the RoomServer door, for who knows the old one: a room number, a user name, and everybody in the room. The address may
// have them: ?roomId=…&uid=…&uname=…&appId=…&token=….
import { Component, html, render } from '../ui/html.js';
import { readSwitches } from '../config.js';
import { memory, takeToken } from '../kept.js';
import { Media } from '../media.js';
import { displayName } from '../names.js';
import { Client } from './client.js';
import { Call, Entry, Out } from './screens.js';

/** linkTo is the address of a room, with what of the present one holds for others too. */
function linkTo(room, appId) {
	const url = new URL('/rs/', location.href);
	url.searchParams.set('roomId', room);
	if (appId !== '1') url.searchParams.set('appId', appId);
	return url.href;
}

class App extends Component {
	constructor(props) {
		super(props);
		const { uid, uname, room } = props;
		this.media = new Media({
			audio: memory.get('audio') !== false, video: memory.get('video') !== false, resolution: props.switches.resolution, chosen: memory.get('devices') ?? {},
		});
		this.media.addEventListener('change', () => {
			memory.set('devices', this.media.chosen);
			this.setState({});
		});
		this.client = new Client({ appId: props.appId, media: this.media });
		this.client.addEventListener('change', () => this.setState({}));
		this.state = { room, name: uname || uid || memory.get('name') || '', token: takeToken(room, 'token'), blocked: false };
		globalThis.parley = this.client; // for the curious, and for tests
	}

	componentDidMount() {
		this.media.start();
		addEventListener('keydown', this.#key);
		addEventListener('pagehide', () => { if (this.client.view.phase !== 'idle') this.client.leave(); });
	}

	componentDidUpdate() {
		const title = this.client.view.phase === 'in' ? `Room ${this.state.room} – Parley` : 'Parley – RoomServer';
		if (document.title !== title) document.title = title;
	}

	#enter = (room, name, token) => {
		memory.set('name', name);
		memory.set('audio', this.media.on.audio);
		memory.set('video', this.media.on.video);
		const url = new URL(location.href);
		url.searchParams.set('roomId', room);
		history.replaceState(null, '', url);
		this.setState({ room, name, token, blocked: false });
		const { uid } = this.props;
		this.client.enter({ room, uid, token, name: name ? displayName(name) : uid });
	};

	#leave = () => {
		this.media.stop();
		this.client.leave();
	};

	#again = () => {
		this.client.back();
		this.media.start();
	};

	#toggle(kind) {
		return this.media.set(kind, !(this.media.on[kind] && this.media.track[kind]));
	}

	// Single keys act in the call only, not where one writes, and not where they are turned off.
	#key = (e) => {
		if (this.client.view.phase !== 'in' || e.ctrlKey || e.metaKey || e.altKey || e.repeat || e.isComposing || memory.get('shortcuts') === false || e.target.closest?.('input, textarea, select')) return;
		const kind = { m: 'audio', v: 'video' }[e.key.toLowerCase()];
		if (!kind) return;
		e.preventDefault();
		this.#toggle(kind);
	};

	#blocked = (e) => { if (e.name === 'NotAllowedError') this.setState({ blocked: true }); };

	#unblock = () => {
		for (const v of document.querySelectorAll('video, audio')) v.play().catch(() => {});
		this.setState({ blocked: false });
	};

	#theme = () => globalThis.theme.next();

	render({ appId, uid }, { room, name, token, blocked }) {
		const { client, media } = this;
		const { view } = client;
		if (view.phase === 'in') {
			const on = { audio: () => this.#toggle('audio'), video: () => this.#toggle('video'), leave: this.#leave, renew: (t) => client.renew(t), blocked: this.#blocked, unblock: this.#unblock };
			return html`<${Call} view=${view} media=${media} room=${room} link=${linkTo(room, appId)} blocked=${blocked} on=${on} />`;
		}
		if (view.phase === 'out') return html`<${Out} problem=${view.problem} room=${room} onAgain=${this.#again} onTheme=${this.#theme} />`;
		return html`<${Entry} media=${media} view=${view} room=${room} name=${name} uid=${uid} token=${token} onEnter=${this.#enter} onCancel=${() => client.back()} onTheme=${this.#theme} />`;
	}
}

const asked = new Map([...new URLSearchParams(location.search)].map(([k, v]) => [k.toLowerCase(), v.trim()]));
render(html`<${App} room=${asked.get('roomid') ?? ''} uid=${asked.get('uid') ?? ''} uname=${asked.get('uname') ?? ''} appId=${asked.get('appid') || '1'} switches=${readSwitches(location.hash)} />`, document.getElementById('app'));
