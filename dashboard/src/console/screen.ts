// The screen of a guest, by noVNC.
import RFB from '@novnc/novnc';

export function screen(url: string, place: HTMLElement, say: (words: string) => void, tool: (label: string, press: () => void) => void): void {
  const rfb = new RFB(place, url, { wsProtocols: ['binary'] });
  rfb.scaleViewport = true;
  rfb.focusOnClick = true;
  rfb.background = '#0f1720';
  rfb.addEventListener('connect', () => {
    say('Connected. Choose the screen to type into it.');
    rfb.focus();
  });
  rfb.addEventListener('disconnect', (event) => say(event.detail.clean ? 'Ended.' : 'The console cannot be reached: the instance may be off, or the link was used already. Ask for it again.'));
  tool('Ctrl+Alt+Del', () => rfb.sendCtrlAltDel());
}
