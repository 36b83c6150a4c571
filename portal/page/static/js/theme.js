// The theme is set before anything is drawn: that of the system, or the one chosen here. A plain script, not a module, so
// that the page does not flash.
(() => {
	const themes = ['auto', 'light', 'dark'];
	const read = () => {
		try {
			const t = localStorage.getItem('parley.theme');
			return themes.includes(t) ? t : 'auto';
		} catch {
			return 'auto';
		}
	};
	const apply = (theme) => { document.documentElement.dataset.theme = theme; };
	apply(read());
	globalThis.theme = {
		get: read,
		set(theme) {
			try {
				localStorage.setItem('parley.theme', theme);
			} catch {
				// Then it lasts as long as the page.
			}
			apply(theme);
		},
		next() {
			const now = document.documentElement.dataset.theme;
			const dark = now === 'dark' || (now === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
			this.set(dark ? 'light' : 'dark');
		},
	};
})();
