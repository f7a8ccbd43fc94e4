// A terminal on the serial line of a guest.
import '@xterm/xterm/css/xterm.css';
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';

const HISTORY_LINES = 5_000;

export function serial(url: string, place: HTMLElement, say: (words: string) => void): void {
  const terminal = new Terminal({ cursorBlink: true, scrollback: HISTORY_LINES, screenReaderMode: true, fontFamily: "ui-monospace, 'DejaVu Sans Mono', monospace", fontSize: 14, theme: { background: '#0f1720', foreground: '#e3ebf3' } });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(place);
  terminal.textarea?.setAttribute('aria-label', 'Type into the serial console');
  fit.fit();
  new ResizeObserver(() => fit.fit()).observe(place);
  const line = new WebSocket(url, ['binary']);
  line.binaryType = 'arraybuffer';
  const encoder = new TextEncoder();
  line.onopen = () => {
    say('Connected. Type into it; press Enter to see where you are.');
    terminal.focus();
  };
  line.onmessage = (event: MessageEvent<ArrayBuffer>) => terminal.write(new Uint8Array(event.data));
  line.onclose = (event) => say(event.reason || (event.wasClean ? 'Ended.' : 'The console cannot be reached: the instance may be off, or the link was used already. Ask for it again.'));
  terminal.onData((text) => line.readyState === WebSocket.OPEN && line.send(encoder.encode(text)));
}
