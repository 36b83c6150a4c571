// What the views of the administration page share.
import { Component, html } from '../ui/html.js';

export const when = (t) => (t ? new Date(t).toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'medium' }) : '–');

/** ago is how long something has been, in two parts at most. */
export function ago(t) {
	const s = Math.max(0, Math.round((Date.now() - new Date(t)) / 1000));
	if (s < 60) return `${s} s`;
	if (s < 3600) return `${Math.floor(s / 60)} min`;
	if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
	return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const span = (seconds) => (seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`);
export const kbits = (bits) => (bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`);
export const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** Asked asks for something again and again while it is shown: each view says what, and how often. */
export class Asked extends Component {
	every = 5000; // ms; 0: once

	componentDidMount() { this.again(); }

	componentWillUnmount() {
		this.gone = true;
		clearTimeout(this.timer);
	}

	/** again asks now. */
	async again() {
		clearTimeout(this.timer);
		const turn = this.turn = (this.turn ?? 0) + 1;
		const next = await this.ask(this.props.api).then((s) => ({ ...s, failed: null }), (e) => ({ failed: e }));
		if (this.gone || turn !== this.turn) return;
		this.setState(next);
		if (this.every) this.timer = setTimeout(() => this.again(), this.every);
	}

	/** act does something that changes what is shown. */
	act = async (do_) => {
		try {
			await do_();
			this.setState({ wrong: null });
		} catch (e) {
			if (!this.gone) this.setState({ wrong: e });
		}
		if (!this.gone) await this.again();
	};
}

export const Wrong = ({ of }) => (of ? html`<p class="alert" role="alert">${of.message}</p>` : null);

/** Table has its columns named in each cell too, for screens on which a row is a card. */
export function Table({ label, heads, rows, none }) {
	if (!rows.length) return html`<p class="hint">${none}</p>`;
	return html`<div class="table" role="region" aria-label=${label} tabindex="0"><table>
		<thead><tr>${heads.map((h) => html`<th scope="col">${h}</th>`)}</tr></thead>
		<tbody>${rows.map((r) => html`<tr key=${r.key}>${r.cells.map((c, i) => html`<td data-head=${heads[i]}><span>${c}</span></td>`)}</tr>`)}</tbody>
	</table></div>`;
}

/** Sure is a button that asks once more before it does something that cannot be undone. */
export class Sure extends Component {
	#ask = () => {
		this.setState({ asked: true });
		this.timer = setTimeout(() => this.setState({ asked: false }), 5000);
	};

	#do = () => {
		clearTimeout(this.timer);
		this.setState({ asked: false });
		this.props.do();
	};

	componentWillUnmount() { clearTimeout(this.timer); }

	render({ children, label }, { asked }) {
		return html`<button type="button" class=${asked ? 'plain tight sure' : 'plain tight'} aria-label=${asked ? `Really: ${label}` : label} onClick=${asked ? this.#do : this.#ask}>${asked ? 'Really?' : children}</button>`;
	}
}
