// The administration page: a login, then views behind the hash of the address. It knows nothing but what the API tells who may
// administer; who may not sees the login.
import { Component, html, render } from '../ui/html.js';
import { Apps, Tokens } from './access.js';
import { Api } from './api.js';
import { Wrong } from './parts.js';
import { Rooms } from './rooms.js';
import { Health, Ice, People, Reports } from './state.js';

const views = [['rooms', 'Rooms', Rooms], ['people', 'People', People], ['tokens', 'Tokens', Tokens], ['apps', 'Applications', Apps], ['reports', 'Reports', Reports], ['ice', 'ICE servers', Ice], ['health', 'Health', Health]];

const where = () => {
	const [view, ...rest] = location.hash.slice(1).split('/');
	let room = '';
	try {
		room = decodeURIComponent(rest.join('/'));
	} catch {
		// No room has that name.
	}
	return { view: views.some(([v]) => v === view) ? view : 'rooms', room };
};

const go = (hash) => { location.hash = hash; };

class Page extends Component {
	api = new Api(() => this.setState({ inside: false, wrong: { message: 'The login has ended.' } }));
	state = { inside: false, busy: this.api.known, ...where() };

	componentDidMount() {
		addEventListener('hashchange', () => {
			this.setState(where());
			document.querySelector('main')?.focus();
		});
		if (this.api.known) this.#enter(() => {});
	}

	/** #enter goes in if who has logged in may administer. */
	async #enter(first) {
		this.setState({ busy: true, wrong: null });
		try {
			await first();
			await this.api.get('/health');
			this.setState({ inside: true, wrong: null });
		} catch (e) {
			if (e.status === 403) await this.api.logOut();
			else if (e.status !== 0) this.api.forget();
			this.setState({ inside: false, wrong: e.status === 403 && e.code === 'scope' ? { message: 'You may not administer this server.' } : e });
		}
		this.setState({ busy: false });
	}

	#logIn = (e) => {
		e.preventDefault();
		const { user, password } = e.target.elements;
		this.#enter(() => this.api.logIn(user.value.trim(), password.value));
	};

	#key = (e) => {
		e.preventDefault();
		const key = e.target.elements.key.value.trim();
		this.#enter(async () => this.api.useKey(key));
	};

	#leave = async () => {
		await this.api.logOut();
		this.setState({ inside: false, wrong: null });
	};

	render(_, { inside, busy, wrong, view, room }) {
		if (!inside) {
			return html`<main class="admin door"><div class="card"><h1>Administration</h1><${Wrong} of=${wrong} />
				<form class="stack" onSubmit=${this.#logIn}>
					<label class="field"><span>Account</span><input name="user" id="user" required autocomplete="username" autocapitalize="off" /></label>
					<label class="field"><span>Password</span><input name="password" id="password" type="password" required autocomplete="current-password" /></label>
					<button class="primary" id="login" disabled=${busy}>Log in</button></form>
				<details><summary>With the key of an application</summary><form class="stack" onSubmit=${this.#key}>
					<label class="field"><span>Key</span><input name="key" type="password" required autocomplete="off" /></label><button class="plain" disabled=${busy}>Go in</button></form></details>
			</div></main>`;
		}
		const View = views.find(([v]) => v === view)[2];
		return html`<div class="admin"><a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.querySelector('main').focus(); }}>To the content</a>
			<header><h1>Parley</h1>
				<nav aria-label="Views">${views.map(([v, name]) => html`<a key=${v} href=${`#${v}`} aria-current=${v === view ? 'page' : null}>${name}</a>`)}</nav>
				<div class="row end"><button type="button" class="plain tight" onClick=${() => globalThis.theme.next()}>Light/dark</button><button type="button" class="plain tight" id="leave" onClick=${this.#leave}>Log out</button></div></header>
			<main id="main" tabindex="-1"><${View} key=${view} api=${this.api} room=${view === 'rooms' ? room : ''} go=${go} /></main></div>`;
	}
}

render(html`<${Page} />`, document.querySelector('#app'));
