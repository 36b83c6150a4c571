// A stanza as a plain tree: {name, ns, attrs, kids}, where kids are trees and strings. Nothing here needs a document, so
// that what is built on it can be tested without a browser.

/** el builds a tree. A child without an xmlns of its own has its parent's. Kids that are null, undefined or false are left out. */
export function el(name, attrs = {}, ...kids) {
	const node = { name, ns: attrs.xmlns, attrs: {}, kids: kids.flat(Infinity).filter((k) => k != null && k !== false) };
	for (const [key, value] of Object.entries(attrs)) {
		if (value != null) node.attrs[key] = String(value);
	}
	if (node.ns !== undefined) inherit(node);
	return node;
}

function inherit(node) {
	for (const kid of node.kids) {
		if (typeof kid === 'object' && kid.ns === undefined) {
			kid.ns = node.ns;
			inherit(kid);
		}
	}
}

/** fromDOM makes a tree of an element of a document. */
export function fromDOM(e) {
	const node = { name: e.localName, ns: e.namespaceURI ?? undefined, attrs: {}, kids: [] };
	for (const a of e.attributes) node.attrs[a.name] = a.value;
	for (const c of e.childNodes) {
		if (c.nodeType === 1) node.kids.push(fromDOM(c));
		else if (c.nodeType === 3 || c.nodeType === 4) node.kids.push(c.data);
	}
	return node;
}

/** all returns the children of a name, and of a namespace where one is given. */
export function all(node, name, ns) {
	return node ? node.kids.filter((k) => typeof k === 'object' && k.name === name && (ns === undefined || k.ns === ns)) : [];
}

/** one returns the first such child, or undefined. */
export const one = (node, name, ns) => all(node, name, ns)[0];

/** elements returns the children that are elements. */
export const elements = (node) => (node ? node.kids.filter((k) => typeof k === 'object') : []);

/** text returns the character data directly inside a node; of no node, the empty string. */
export const text = (node) => (node ? node.kids.filter((k) => typeof k === 'string').join('') : '');

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** escape makes a string fit for XML: its five special characters as entities; what XML 1.0 forbids is left out. */
export function escape(s) {
	return String(s).toWellFormed().replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '').replace(/[&<>"']/g, (c) => entities[c]);
}

/** serialize writes a tree as XML. */
export function serialize(node) {
	if (typeof node === 'string') return escape(node);
	let out = '<' + node.name;
	for (const [key, value] of Object.entries(node.attrs)) out += ` ${key}="${escape(value)}"`;
	if (node.kids.length === 0) return out + '/>';
	return out + '>' + node.kids.map(serialize).join('') + `</${node.name}>`;
}
