// What a page keeps in the browser: what somebody has chosen, and a permission that came in a link.

/** memory keeps values as JSON, for all pages of this server. Without storage they last as long as the page. */
export const memory = {
	get(key) {
		try {
			return JSON.parse(localStorage.getItem(`parley.${key}`) ?? 'null');
		} catch {
			return null;
		}
	},
	set(key, value) {
		try {
			localStorage.setItem(`parley.${key}`, JSON.stringify(value));
		} catch {
			// Then it lasts as long as the page.
		}
	},
};

/** takeToken moves ?jwt=, or what the parameter is called, out of the address, so that copying that gives no permission away. A reload finds it again. */
export function takeToken(room, parameter = 'jwt') {
	const url = new URL(location.href);
	const key = `parley.${parameter} ${room}`;
	const token = url.searchParams.get(parameter);
	try {
		if (!token) return sessionStorage.getItem(key) ?? undefined;
		sessionStorage.setItem(key, token);
		url.searchParams.delete(parameter);
		history.replaceState(null, '', url);
	} catch {
		// Without storage the token stays in the address, where a reload finds it.
	}
	return token ?? undefined;
}
