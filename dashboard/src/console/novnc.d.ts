// As much of noVNC as is used here.
declare module '@novnc/novnc' {
  interface Events {
    connect: CustomEvent;
    disconnect: CustomEvent<{ clean: boolean }>;
  }
  export default class RFB {
    constructor(target: HTMLElement, url: string, options?: { wsProtocols?: string[] });
    scaleViewport: boolean;
    focusOnClick: boolean;
    background: string;
    addEventListener<E extends keyof Events>(name: E, listener: (event: Events[E]) => void): void;
    focus(): void;
    sendCtrlAltDel(): void;
  }
}
