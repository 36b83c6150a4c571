// The panel beside the call: the chat, who is here, and what is sent.
import { Component, createRef, html } from './html.js';
import { Icon, RoundButton } from './icons.js';
import { Face } from './video.js';
import { Quality } from './quality.js';
import { CopyLink } from './dialogs.js';

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

/** Linked shows a text whose web addresses can be followed. Everything stays text: no markup is ever read. */
const Linked = ({ text }) => text.split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}])/g)
	.map((part, i) => (i % 2 ? html`<a href=${part} target="_blank" rel="noopener noreferrer nofollow">${part}</a>` : part));

const Message = ({ message, follows }) => html`<li class=${`message ${message.own ? 'own' : ''} ${follows ? 'follows' : ''}`}>
	${follows ? null : html`<p class="who"><bdi>${message.own ? 'You' : message.name}</bdi>${message.private ? ' (only to you)' : ''}
		<time datetime=${new Date(message.time).toISOString()}>${(Date.now() - message.time > 43_200_000 ? day : clock).format(message.time)}</time></p>`}
	<p class="text" dir="auto"><${Linked} text=${message.text} /></p>
</li>`;

class Chat extends Component {
	constructor(props) {
		super(props);
		this.list = createRef();
		this.input = createRef();
	}

	componentDidMount() {
		this.#down();
		this.input.current.focus();
	}

	getSnapshotBeforeUpdate() {
		const list = this.list.current;
		return list.scrollHeight - list.scrollTop - list.clientHeight < 80;
	}

	componentDidUpdate(before, _, atEnd) {
		if (atEnd && before.messages !== this.props.messages) this.#down();
	}

	#down() {
		const list = this.list.current;
		list.scrollTop = list.scrollHeight;
	}

	#send = (e) => {
		e.preventDefault();
		const text = this.input.current.value;
		if (!text.trim()) return;
		this.props.onSay(text);
		this.input.current.value = '';
		this.input.current.focus();
	};

	#key = (e) => {
		if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) this.#send(e);
	};

	render({ messages }) {
		return html`<div class="chat">
			<ol class="messages" ref=${this.list} role="log" aria-label="Messages" tabindex="0">
				${messages.length === 0 ? html`<li class="none">No messages yet. Everybody in the room can read what you write.</li>` : null}
				${messages.map((m, i) => html`<${Message} key=${`${m.from} ${m.id ?? ''} ${m.time} ${i}`} message=${m} follows=${follows(messages[i - 1], m)} />`)}
			</ol>
			<form class="compose" onSubmit=${this.#send}>
				<textarea ref=${this.input} rows="1" maxlength="4000" placeholder="Write a message" aria-label="Message" onKeyDown=${this.#key}></textarea>
				<${RoundButton} icon="send" label="Send" tone="primary" small onClick=${this.#send} />
			</form>
		</div>`;
	}
}

const follows = (before, m) => before && before.from === m.from && before.private === m.private && m.time - before.time < 120_000;

const Person = ({ id, name, you, moderator, audio, video, screen }) => html`<li class="person">
	<${Face} name=${name} id=${id} small />
	<span class="name"><bdi>${name}</bdi>${you ? html` <small>(you)</small>` : null}${moderator ? html` <small>moderator</small>` : null}</span>
	${screen ? html`<span class="mark" title="shares the screen"><${Icon} name="screen" /><span class="say">shares the screen</span></span>` : null}
	<span class=${`mark ${audio ? '' : 'no'}`} title=${audio ? 'microphone on' : 'muted'}><${Icon} name=${audio ? 'mic' : 'micOff'} /><span class="say">${audio ? 'microphone on' : 'muted'}</span></span>
	<span class=${`mark ${video ? '' : 'no'}`} title=${video ? 'camera on' : 'camera off'}><${Icon} name=${video ? 'camera' : 'cameraOff'} /><span class="say">${video ? 'camera on' : 'camera off'}</span></span>
</li>`;

const People = ({ me, members, link }) => html`<div class="people">
	<ul>${[me, ...members].map((m) => html`<${Person} key=${m.id} ...${m} />`)}</ul>
	<p class="hint">Send this link to whom you want to see:</p>
	<${CopyLink} text=${link} />
</div>`;

const names = { chat: 'Chat', people: 'Who is here', quality: 'What is sent' };

/** Panel shows one of the three. */
export const Panel = ({ open, onOpen, onClose, messages, onSay, me, members, session, link, unread }) => {
	const tab = (name, words) => html`<button type="button" role="tab" aria-selected=${String(open === name)} onClick=${() => onOpen(name)}>${words}</button>`;
	return html`<aside class="panel" aria-label=${names[open]}>
		<header>
			<div role="tablist" class="tabs">${tab('chat', `Chat${unread ? ` (${unread})` : ''}`)}${tab('people', `People (${members.length + 1})`)}${tab('quality', 'Quality')}</div>
			<${RoundButton} small icon="close" label="Close" onClick=${onClose} />
		</header>
		${open === 'chat' ? html`<${Chat} messages=${messages} onSay=${onSay} />` : open === 'people' ? html`<${People} me=${me} members=${members} link=${link} />` : html`<${Quality} session=${session} />`}
	</aside>`;
};
