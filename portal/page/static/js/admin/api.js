// The server's API, asked with the tokens of a login or with a key that somebody has pasted. Both are kept in this tab alone.

const store = 'parley.admin';

/** Refusal is an answer that is none: the problem's code is for us, its text for people. */
export class Refusal extends Error {
	constructor(status, problem) {
		super(problem.detail || problem.title || `The server answers ${status}.`);
		this.status = status;
		this.code = problem.code ?? '';
	}
}

/** Api asks for one who administers. */
export class Api {
	#access = '';
	#refresh = '';
	#renewing = null;

	constructor(lost) {
		this.lost = lost; // called when the login has ended
		try {
			({ access: this.#access, refresh: this.#refresh } = JSON.parse(sessionStorage.getItem(store)) ?? { access: '', refresh: '' });
		} catch {
			// Then somebody logs in again.
		}
	}

	get known() { return Boolean(this.#access); }

	#keep(access, refresh) {
		this.#access = access;
		this.#refresh = refresh;
		try {
			if (access) sessionStorage.setItem(store, JSON.stringify({ access, refresh }));
			else sessionStorage.removeItem(store);
		} catch {
			// Then it lasts as long as the page.
		}
	}

	async logIn(user, password) {
		const t = await this.#send('POST', '/auth/login', { user, password, label: 'administration page' }, '');
		this.#keep(t.access_token, t.refresh_token);
	}

	useKey(key) { this.#keep(key, ''); }

	async logOut() {
		if (this.#refresh) await this.ask('POST', '/auth/logout').catch(() => {});
		this.forget();
	}

	forget() { this.#keep('', ''); }

	get(path) { return this.ask('GET', path); }

	/** ask asks, with the next tokens where the present one is not good any more. */
	async ask(method, path, body) {
		const used = this.#access;
		try {
			return await this.#send(method, path, body, used);
		} catch (e) {
			if (e.status !== 401) throw e;
			if (this.#refresh && used === this.#access) await this.#renew();
			else if (!this.#refresh || !this.#access) {
				this.#end();
				throw e;
			}
			return this.#send(method, path, body, this.#access);
		}
	}

	#end() {
		this.forget();
		this.lost();
	}

	/** #renew gets the next tokens; the refresh token is good once, so that all who wait share the one request. */
	#renew() {
		this.#renewing ??= this.#send('POST', '/auth/refresh', { refresh_token: this.#refresh }, '')
			.then((t) => this.#keep(t.access_token, t.refresh_token))
			.catch((e) => {
				if (e.status === 401 || e.status === 403) this.#end();
				throw e;
			})
			.finally(() => { this.#renewing = null; });
		return this.#renewing;
	}

	async #send(method, path, body, token) {
		const headers = {};
		if (token) headers.Authorization = `Bearer ${token}`;
		if (body !== undefined) headers['Content-Type'] = 'application/json';
		let r;
		try {
			r = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: 'omit', cache: 'no-store' });
		} catch {
			throw new Refusal(0, { detail: 'The server cannot be reached.' });
		}
		const kind = r.headers.get('Content-Type') ?? '';
		if (!r.ok) throw new Refusal(r.status, kind.includes('json') ? await r.json().catch(() => ({})) : {});
		if (r.status === 204) return null;
		return kind.includes('json') ? r.json() : r.blob();
	}
}
