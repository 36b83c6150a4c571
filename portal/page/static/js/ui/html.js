// Preact and htm as the rest of the page uses them.
import { Component, createRef, h, render } from '../../vendor/preact.js';
import htm from '../../vendor/htm.js';

export const html = htm.bind(h);
export { Component, createRef, render };
