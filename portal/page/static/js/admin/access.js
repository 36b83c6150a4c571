// Who may come in: tokens of rooms, and applications with their keys.
import { Component, html } from '../ui/html.js';
import { Asked, Sure, Table, when, Wrong } from './parts.js';

const values = (form) => Object.fromEntries([...new FormData(form)].map(([k, v]) => [k, v.trim()]));

const Secret = ({ text, label }) => html`<label class="field"><span>${label}</span><input readonly value=${text} onFocus=${(e) => e.target.select()} /></label>`;

/** Tokens makes, explains and ends them. */
export class Tokens extends Component {
	#with = (do_) => async (e) => {
		e.preventDefault();
		try {
			this.setState({ wrong: null, made: null, found: null, done: '', ...await do_(values(e.target)) });
		} catch (wrong) {
			this.setState({ wrong, made: null, found: null, done: '' });
		}
	};

	#make = this.#with(async (v) => ({ made: await this.props.api.ask('POST', '/tokens/room', {
		room: v.room, ...(v.name || v.id ? { user: { ...(v.name && { name: v.name }), ...(v.id && { id: v.id }) } } : {}), ...(v.moderator && { moderator: true }), ...(v.once && { once: true }),
	}) }));

	#explain = this.#with(async (v) => ({ found: await this.props.api.ask('POST', '/tokens/explain', { token: v.token, ...(v.room && { room: v.room }) }) }));

	#revoke = async () => {
		const token = document.querySelector('#explained').value.trim();
		try {
			await this.props.api.ask('POST', '/tokens/revoke', { token });
			this.setState({ wrong: null, found: null, done: 'The token is ended.' });
		} catch (wrong) {
			this.setState({ wrong });
		}
	};

	render(_, { wrong, made, found, done }) {
		return html`<h2>Tokens</h2><${Wrong} of=${wrong} />${done ? html`<p role="status">${done}</p>` : null}
			<div class="pair"><form class="box" onSubmit=${this.#make}><h3>Make a token</h3>
				<label class="field"><span>Room</span><input name="room" required autocomplete="off" /></label>
				<p class="hint">The rest is for keys of applications: who has logged in makes tokens for themselves.</p>
				<label class="field"><span>Name</span><input name="name" autocomplete="off" /></label>
				<label class="field"><span>Id</span><input name="id" autocomplete="off" /></label>
				<label class="check"><input type="checkbox" name="moderator" /> Owner of the room</label>
				<label class="check"><input type="checkbox" name="once" /> Good once</label>
				<button class="primary">Make</button>
				${made ? html`<div role="status"><${Secret} label=${`Good until ${when(made.expires)}`} text=${made.token} /></div>` : null}
			</form>
			<form class="box" onSubmit=${this.#explain}><h3>Explain or end a token</h3>
				<label class="field"><span>Token</span><textarea id="explained" name="token" rows="4" required spellcheck="false"></textarea></label>
				<label class="field"><span>Room that it is to open</span><input name="room" autocomplete="off" /></label>
				<div class="row"><button class="primary">Explain</button><${Sure} label="End the token" do=${this.#revoke}>End it<//></div>
				${found ? html`<p role="status"><b>${found.ok ? 'It would be accepted.' : 'It would be refused.'}</b></p>
				<ul class="findings">${found.findings.map((f) => html`<li class=${f.ok ? 'good' : 'bad'}><b>${f.check}</b> ${f.says} ${f.ok ? '' : f.text}</li>`)}</ul>` : null}
			</form></div>`;
	}
}

const scopes = ['tokens:issue', 'turn', 'meetings', 'rooms:read', 'rooms:write', 'admin'];

/** Apps lists applications, adds and removes them and their keys. */
export class Apps extends Asked {
	every = 0;

	async ask(api) {
		const list = await api.get('/apps?limit=1000');
		return { list: await Promise.all(list.map((a) => api.get(`/apps/${encodeURIComponent(a.name)}`))) };
	}

	#add = (e) => {
		e.preventDefault();
		const form = e.target;
		const v = values(form);
		this.act(async () => {
			await this.props.api.ask('POST', '/apps', { name: v.name, scopes: scopes.filter((s) => v[s]), domains: v.domains.split(/[\s,]+/).filter(Boolean) });
			form.reset();
		});
	};

	#key = (name) => this.act(async () => this.setState({ key: { name, ...await this.props.api.ask('POST', `/apps/${encodeURIComponent(name)}/keys`) } }));
	#remove = (path) => this.act(() => this.props.api.ask('DELETE', `/apps/${path}`));

	render(_, { list, failed, wrong, key }) {
		return html`<h2>Applications</h2><${Wrong} of=${failed} /><${Wrong} of=${wrong} />
			${key ? html`<div class="box" role="status"><${Secret} label=${`New key of ${key.name}. It is shown this once`} text=${key.key} /></div>` : null}
			${list && html`<${Table} label="Applications" none="There are none." heads=${['Name', 'May', 'Domains', 'Keys', '']} rows=${list.map((a) => ({ key: a.name, cells: [
				html`<b>${a.name}</b>`, a.scopes.join(', ') || '–', (a.domains ?? []).join(', ') || '–',
				html`${(a.keys ?? []).map((k) => html`<span class="row" key=${k.id}><code>${k.id.slice(0, 6)}…</code> ${when(k.created)} <${Sure} label=${`Remove key ${k.id.slice(0, 6)} of ${a.name}`} do=${() => this.#remove(`${encodeURIComponent(a.name)}/keys/${k.id}`)}>Remove<//></span>`)}
					<button type="button" class="plain tight" onClick=${() => this.#key(a.name)}>New key</button>`,
				html`<${Sure} label=${`Remove ${a.name}`} do=${() => this.#remove(encodeURIComponent(a.name))}>Remove<//>`] }))} />`}
			<form class="box" onSubmit=${this.#add}><h3>Add an application</h3>
				<label class="field"><span>Name</span><input name="name" required pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*" maxlength="64" autocomplete="off" /></label>
				<fieldset class="scopes"><legend>It may</legend>${scopes.map((s) => html`<label class="check"><input type="checkbox" name=${s} /> ${s}</label>`)}</fieldset>
				<label class="field"><span>Domains whose pages may use its keys</span><input name="domains" autocomplete="off" /></label>
				<button class="primary">Add</button>
			</form>`;
	}
}
