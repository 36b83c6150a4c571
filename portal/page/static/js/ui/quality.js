// What is sent and why: one line for each picture that comes, and for what we send.
import { Component, html } from './html.js';
import { Measure, sizeWords } from '../measure.js';
import { tilesOf } from '../seats.js';
import { rateWords, troubleWords, whyWords } from '../words.js';

/** Quality measures once a second while it is open. */
export class Quality extends Component {
	constructor(props) {
		super(props);
		this.measure = new Measure();
		this.state = { come: [], go: [] };
	}

	componentDidMount() {
		this.timer = setInterval(() => this.#look(), 1000);
		this.#look();
	}

	componentWillUnmount() {
		clearInterval(this.timer);
		this.gone = true;
	}

	async #look() {
		const { session } = this.props;
		const { view, gate, wishes } = session;
		if (!gate) return;
		const come = await Promise.all(tilesOf(session.talking()).map(async ({ key, source, member, screen }) => {
			const picture = source.muted ? {} : await this.measure.picture(session.receiver(source));
			const wished = wishes?.wished.get(key);
			const high = Math.min(picture.width ?? 0, picture.height ?? 0);
			const why = whyWords({
				muted: source.muted, screen, direct: gate.direct, wished, hidden: document.hidden, high,
				reduced: gate.bridge.reduced.get(key), forwarded: gate.bridge.forwarded.has(key), playing: gate.bridge.playing.has(key),
			});
			const trouble = gate.direct ? '' : troubleWords(gate.bridge.troubles.get(member.id), false);
			return { key, trouble, name: screen ? `${member.name}’s screen` : member.name, size: source.muted ? '' : sizeWords(picture), wished, why, speaks: view.speaker === member.id && !screen };
		}));
		const go = await Promise.all([['video', 'v0', 'Your camera'], ['screen', 'v1', 'Your screen']].filter(([kind]) => session.media.track[kind]).map(async ([kind, source, name]) => {
			const pc = gate.direct ? gate.call?.pc : gate.bridge.pc;
			const sender = pc?.getSenders().find((s) => s.track === session.media.track[kind]);
			const streams = await this.measure.sent(sender);
			const wanted = gate.bridge.wanted.get(`${view.me}-${source}`);
			const why = gate.direct ? 'directly to the other browser' : wanted === 0 ? 'nobody wants it at the moment' : wanted > 0 ? `nobody wants more than ${wanted} pixels` : 'as much as there is';
			return { name, sizes: streams.map((s) => sizeWords(s) + (s.limit && s.limit !== 'none' ? ` · held back by ${s.limit === 'cpu' ? 'this computer' : s.limit}` : '')), why };
		}));
		if (!this.gone) this.setState({ come, go, direct: gate.direct, estimate: gate.bridge.estimate, trouble: gate.direct ? '' : troubleWords(gate.bridge.troubles.get(view.me), true) });
	}

	render(_, { come, go, direct, estimate, trouble }) {
		return html`<div class="quality">
			<p class="hint">${direct ? 'The media go directly from browser to browser.' : 'The bridge sends each picture as large as its tile needs it, and nothing that is not seen.'}${!direct && estimate ? ` Your connection is taken for ${rateWords(estimate)}.` : ''}</p>
			${trouble ? html`<p class="trouble" role="status">${trouble}</p>` : null}
			<h3>What comes</h3>
			<ul>${come.map((t) => html`<li key=${t.key} data-source=${t.key}><p><bdi>${t.name}</bdi>${t.speaks ? html` <small>speaks</small>` : null}</p>
				<p class="size">${t.size || '–'}</p><p class="why">${t.trouble ? `${t.trouble}: ` : ''}${t.why}${!direct && t.size && t.wished > 0 ? ` (wished: ${t.wished} pixels high)` : ''}</p></li>`)}</ul>
			${come.length ? null : html`<p class="hint">Nobody else is here.</p>`}
			<h3>What you send</h3>
			<ul>${go.map((t) => html`<li key=${t.name}><p>${t.name}</p>${t.sizes.map((s) => html`<p class="size" key=${s}>${s}</p>`)}<p class="why">${t.why}</p></li>`)}</ul>
			${go.length ? null : html`<p class="hint">No picture.</p>`}
		</div>`;
	}
}
