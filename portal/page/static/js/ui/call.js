// The call: the pictures in the middle, the state in words above and the buttons below.
import { Component, html } from './html.js';
import { Icon, RoundButton } from './icons.js';
import { Tiles } from './tiles.js';
import { Panel } from './panel.js';
import { CopyLink } from './dialogs.js';

class Timer extends Component {
	componentDidMount() { this.timer = setInterval(() => this.forceUpdate(), 1000); }

	componentWillUnmount() { clearInterval(this.timer); }

	render({ since }) {
		const s = Math.max(0, Math.floor((Date.now() - since) / 1000));
		const two = (n) => String(n).padStart(2, '0');
		return html`<span class="timer" aria-hidden="true">${s >= 3600 ? `${Math.floor(s / 3600)}:` : ''}${two(Math.floor(s / 60) % 60)}:${two(s % 60)}</span>`;
	}
}

const Alone = ({ link, words }) => html`<div class="alone">
	<h2>You are the first one here</h2>
	<p>${words || 'Send the link; the call begins when somebody comes.'}</p>
	<${CopyLink} text=${link} />
</div>`;

/** CallScreen shows a session that is in its room. */
export class CallScreen extends Component {
	render({ view, session, media, room, link, name, panel, pinned, on, blocked }) {
		const state = view.server.tone === 'bad' ? view.server : view.server.tone === 'busy' && view.call.tone !== 'bad' ? view.server : view.call.text ? view.call : { text: 'Connected to the server', tone: 'good' };
		const audio = media.on.audio && media.track.audio;
		const video = media.on.video && media.track.video;
		const me = { id: view.me, name, you: true, audio: Boolean(audio), video: Boolean(video), screen: Boolean(media.track.screen) };
		return html`<main class=${`call ${panel ? 'with-panel' : ''}`}>
			<header class="bar">
				<a class="brand small" href="/" target="_blank" aria-label="Parley"><img src="/static/icon.svg" alt="" width="28" height="28" /></a>
				<h1><bdi>${view.subject || room}</bdi></h1>
				<p class=${`state ${state.tone}`} role="status" id="state"><span class="dot" aria-hidden="true"></span><span class="words">${state.text}</span>
					${state.again ? html`<button type="button" class="link" onClick=${on.again}>Try again</button>` : null}</p>
				<${Timer} since=${view.since} />
			</header>
			<section class="stage" aria-label="Call">
				${view.members.length === 0 ? html`<${Alone} link=${link} />`
					: view.full ? html`<div class="alone"><h2>This call is full for now</h2><p id="full">${view.call.text}</p>
						<p class="row"><button type="button" class="primary" onClick=${() => on.panel('chat')}><${Icon} name="chat" /> Open the chat</button></p></div>` : null}
				<${Tiles} view=${view} session=${session} media=${media} name=${name} pinned=${pinned} onPin=${on.pin} onMore=${() => on.panel('people')} onBlocked=${on.blocked} />
				<div class="toast" role="status" aria-live="polite">${view.notice ? html`<span>${view.notice}</span>` : null}</div>
				${blocked ? html`<button type="button" class="primary sound" onClick=${on.unblock}>Turn the sound on</button>` : null}
			</section>
			${panel ? html`<${Panel} open=${panel} onOpen=${on.panel} onClose=${() => on.panel('')} messages=${view.messages} onSay=${on.say} me=${me} members=${view.members} session=${session} link=${link} unread=${view.unread} />` : null}
			<nav class="dock" aria-label="Call controls">
				<${RoundButton} icon=${audio ? 'mic' : 'micOff'} label=${audio ? 'Turn microphone off' : 'Turn microphone on'} keys="M" tone=${audio ? '' : 'off'} pressed=${!audio} onClick=${on.audio} />
				<${RoundButton} icon=${video ? 'camera' : 'cameraOff'} label=${video ? 'Turn camera off' : 'Turn camera on'} keys="V" tone=${video ? '' : 'off'} pressed=${!video} onClick=${on.video} />
				${navigator.mediaDevices?.getDisplayMedia ? html`<${RoundButton} icon="screen" label=${media.track.screen ? 'Stop sharing the screen' : 'Share the screen'} keys="S" tone=${media.track.screen ? 'active' : ''} pressed=${Boolean(media.track.screen)} onClick=${on.screen} />` : null}
				<${RoundButton} icon="chat" label=${view.unread ? `Chat, ${view.unread} new` : 'Chat'} keys="C" badge=${view.unread} tone=${panel === 'chat' ? 'active' : ''} pressed=${panel === 'chat'} onClick=${() => on.panel(panel === 'chat' ? '' : 'chat')} />
				<${RoundButton} icon="people" label=${`Who is here (${view.members.length + 1})`} keys="P" tone=${panel === 'people' ? 'active' : ''} pressed=${panel === 'people'} onClick=${() => on.panel(panel === 'people' ? '' : 'people')} />
				<${RoundButton} icon="quality" label="What is sent, and why" keys="Q" tone=${`wide-only ${panel === 'quality' ? 'active' : ''}`} pressed=${panel === 'quality'} onClick=${() => on.panel(panel === 'quality' ? '' : 'quality')} />
				<span class="gap"></span>
				<${RoundButton} icon="settings" label="Settings" onClick=${on.settings} />
				<${RoundButton} icon="help" label="Keys" keys="?" tone="wide-only" onClick=${on.help} />
				<${RoundButton} icon="leave" label="Leave the call" tone="danger" onClick=${on.leave} />
			</nav>
		</main>`;
	}
}

/** Out is what is shown afterwards. */
export const Out = ({ problem, name, room, onAgain, onTheme }) => html`<main class="lobby out">
	<header class="head"><a class="brand" href="/"><img src="/static/icon.svg" alt="" width="32" height="32" /> Parley</a>
		<${RoundButton} small icon="theme" label="Light or dark" onClick=${onTheme} /></header>
	<div class="card center">
		<h1>${problem ? 'You are out of the room' : `Good-bye${name ? `, ${name}` : ''}`}</h1>
		${problem ? html`<p class="alert" role="alert">${problem}</p>` : html`<p class="lead">You have left <bdi class="room">${room}</bdi>.</p>`}
		<button type="button" class="primary wide" id="again" onClick=${onAgain}>Enter again</button>
		<a class="quiet" href="/">Another room</a>
	</div>
</main>`;
