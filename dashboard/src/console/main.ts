// A console by itself: in a frame of the dashboard, or opened by the link that compute gives out. It is a document of its
// own because a terminal writes styles into its page, which the dashboard's policy forbids.
import './console.css';
import { addressOf } from './address';

const state = document.getElementById('state')!;
const place = document.getElementById('console')!;
const tools = document.getElementById('tools')!;
const say = (words: string) => (state.textContent = words);

const address = addressOf(location);
// The link is used up by following it, and nobody needs to see it any more.
history.replaceState(null, '', location.pathname);

/** A button beside the state. */
function tool(label: string, press: () => void): void {
  const button = document.createElement('button');
  button.textContent = label;
  button.onclick = press;
  tools.append(button);
}

if (!address) {
  say('This link is not whole. Ask for another console.');
} else if (address.kind === 'serial') {
  void import('./serial').then(({ serial }) => serial(address.url, place, say));
} else {
  void import('./screen').then(({ screen }) => screen(address.url, place, say, tool));
}
