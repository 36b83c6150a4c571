// A web server of its own, as applications have that are not the XMPP server's: what they load comes from another origin.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const types = { html: 'text/html', js: 'text/javascript', css: 'text/css', json: 'application/json', wasm: 'application/wasm', svg: 'image/svg+xml' };

/** site serves the files of a folder, and a page as its root, until the process ends; it resolves with its origin. */
export async function site(folder, page) {
	const web = createServer(async (request, response) => {
		const { pathname } = new URL(request.url, 'http://localhost');
		const body = pathname === '/' ? page : await readFile(new URL('.' + pathname, folder)).catch(() => null);
		response.writeHead(body === null ? 404 : 200, { 'Content-Type': types[/\w*$/.exec(pathname)[0] || 'html'] ?? 'application/octet-stream' }).end(body);
	});
	await new Promise((done) => web.listen(0, '127.0.0.1', done));
	web.unref();
	return `http://127.0.0.1:${web.address().port}`;
}
