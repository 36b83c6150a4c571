// How the server is: who is online, the report of a day, the ICE servers, and health.
import { html } from '../ui/html.js';
import { ago, Asked, percent, span, Table, when, Wrong } from './parts.js';

export class People extends Asked {
	every = 10_000;

	async ask(api) {
		const [online, accounts] = await Promise.all([api.get('/online'), api.get('/accounts?limit=1000')]);
		return { online, accounts };
	}

	#disable = (name, disabled) => this.act(() => this.props.api.ask('PUT', `/accounts/${encodeURIComponent(name)}/disabled`, { disabled }));

	render(_, { online, accounts, failed, wrong }) {
		if (!online) return html`<h2>People</h2><${Wrong} of=${failed} />`;
		const of = Map.groupBy ? Map.groupBy(online, (s) => s.address.split('/')[0]) : new Map();
		return html`<h2>People</h2><${Wrong} of=${failed} /><${Wrong} of=${wrong} />
			<p class="hint" role="status">${online.length} sessions of ${of.size} accounts. Guests are in the rooms.</p>
			<${Table} label="Sessions" none="Nobody is online with an account." heads=${['Session', 'From']} rows=${online.map((s) => ({ key: s.address, cells: [s.address, s.ip || '–'] }))} />
			<h3>Accounts</h3>
			<${Table} label="Accounts" none="There are none." heads=${['Account', 'Since', 'Online', '']} rows=${accounts.map((a) => ({ key: a.account, cells: [a.account, when(a.created), of.get(a.account)?.length ?? 0,
				html`<button type="button" class="plain tight" onClick=${() => this.#disable(a.account.split('@')[0], !a.disabled)}>${a.disabled ? 'Enable' : 'Disable'} <span class="say">${a.account}</span></button>`] }))} />`;
	}
}

export class Reports extends Asked {
	every = 0;
	state = { day: new Date().toISOString().slice(0, 10) };

	async ask(api) { return { report: await api.get(`/reports/${this.state.day}`) }; }

	#day = (e) => { if (e.target.value) this.setState({ day: e.target.value }, () => this.again()); };

	#save = (form, kind) => this.act(async () => {
		const blob = await this.props.api.get(`/reports/${this.state.day}/${form}`);
		const a = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: `calls-${this.state.day}.${kind}` });
		a.click();
		setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
	});

	render(_, { day, report: r, failed, wrong }) {
		return html`<h2>Reports</h2>
			<div class="row"><label class="field"><span>Day</span><input type="date" value=${day} onChange=${this.#day} /></label>
				<button type="button" class="plain" onClick=${() => this.#save('csv', 'csv')}>Save as CSV</button><button type="button" class="plain" onClick=${() => this.#save('countries', 'countries.csv')}>Save countries as CSV</button><button type="button" class="plain" onClick=${() => this.#save('html', 'html')}>Save as page</button></div>
			<${Wrong} of=${failed} /><${Wrong} of=${wrong} />
			${r && !failed && html`<dl class="facts">
				<div><dt>Members</dt><dd>${r.sessions}</dd></div><div><dt>Calls</dt><dd>${r.calls}, ${span(r.call_seconds)}</dd></div>
				<div><dt>Connections</dt><dd>${r.connected} made, ${r.failed} failed, ${r.timed_out} timed out</dd></div>
				<div><dt>Median</dt><dd>${span(r.median_seconds)}</dd></div><div><dt>Relayed</dt><dd>${percent(r.relay_share)}</dd></div>
				<div><dt>Most at once</dt><dd>${r.peak_members} members, ${r.peak_calls} calls</dd></div>
				<div><dt>Time to connect</dt><dd>${r.join_p50_ms} ms, 95 % within ${r.join_p95_ms} ms</dd></div></dl>
			<h3>Countries</h3><${Table} label="Countries" none="None." heads=${['Country', 'Members', 'Made', 'Failed', 'Timed out', 'Duration', 'Relayed', 'Lost']} rows=${r.countries.map((c) => ({ key: c.country, cells: [c.country, c.sessions, c.connected, c.failed, c.timed_out, span(c.seconds), percent(c.relay_share), percent(c.loss)] }))} />
			<h3>Joins that failed</h3><${Table} label="Joins that failed" none="None." heads=${['Door', 'Why', 'Times']} rows=${r.failed_joins.map((c, i) => ({ key: i, cells: [c.door, c.cause, c.count] }))} />`}`;
	}
}

export class Ice extends Asked {
	async ask(api) { return { list: await api.get('/ice') }; }

	render(_, { list, failed }) {
		return html`<h2>ICE servers</h2><${Wrong} of=${failed} />
			${list && html`<${Table} label="ICE servers" none="Clients are given none." heads=${['Addresses', 'Doors', 'Region', 'Carries', 'Members', 'Registered']} rows=${list.map((s) => ({ key: s.urls.join(), cells: [
				html`<ul>${s.urls.map((u) => html`<li><code>${u}</code></li>`)}</ul>`, s.doors, s.region || '–', s.capacity ? `${s.rate} of ${s.capacity} kbit/s` : s.rate ? `${s.rate} kbit/s` : '–', s.members, s.expires ? `until ${when(s.expires)}` : 'always'] }))} />`}`;
	}
}

/** flat are the values of a part of the server, by their names. */
const flat = (v, name = '') => (v !== null && typeof v === 'object' ? Object.entries(v).flatMap(([k, w]) => flat(w, name && name !== k ? `${name} ${k}` : k)) : [[spaced(name), value(name, v)]]);

/** spaced is a name of the API as words: filesLimit is "files limit". */
const spaced = (name) => name.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`);

/** value is one of the API's, in the unit of its name. */
function value(name, v) {
	if (v === true || v === false) return v ? 'yes' : 'no';
	if (/limit$/i.test(name) && !v) return 'none';
	if (/^memory/.test(name)) return `${Math.round(v / 2 ** 20)} MiB`;
	if (/stress$/.test(name)) return percent(v);
	if (/delay$/.test(name)) return `${v} ms`;
	if (/rate$/.test(name)) return `${Math.round(v / 1000)} kbit/s`;
	return String(v);
}

export class Health extends Asked {
	async ask(api) { return { h: await api.get('/health') }; }

	render(_, { h, failed }) {
		return html`<h2>Health</h2><${Wrong} of=${failed} />
			${h && html`<p class=${h.ready ? 'ready good' : 'ready bad'} role="status">${h.ready ? 'Ready for new clients.' : `Not ready: ${h.reason}`}</p>
			<dl class="facts"><div><dt>Domain</dt><dd>${h.domain}</dd></div><div><dt>Version</dt><dd>${h.version}</dd></div><div><dt>Node</dt><dd>${h.node || '–'}</dd></div><div><dt>Up for</dt><dd>${ago(h.started)}</dd></div></dl>
			<div class="parts">${Object.keys(h.parts).sort().map((k) => html`<section class="box" key=${k}><h3>${k[0].toUpperCase() + k.slice(1)}</h3><dl>${flat(h.parts[k], '').map(([n, v]) => html`<div>${n ? html`<dt>${n}</dt>` : ''}<dd>${v}</dd></div>`)}</dl></section>`)}</div>`}`;
	}
}
