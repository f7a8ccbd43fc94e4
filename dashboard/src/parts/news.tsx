// What happened, at the top of the page: results of actions, each with its request id.
import Flashbar, { type FlashbarProps } from '@cloudscape-design/components/flashbar';
import { createContext, useCallback, useContext, useMemo, useState, type ReactNode } from 'react';
import { Fault } from '../cloud/api';

type Item = { id: string; type: FlashbarProps.Type; header: string; content?: ReactNode };
interface News {
  tell: (type: FlashbarProps.Type, header: string, content?: ReactNode) => void;
  fail: (header: string, why: unknown) => void;
}
const Context = createContext<News>({ tell: () => {}, fail: () => {} });
const ItemsContext = createContext<{ items: Item[]; drop: (id: string) => void }>({ items: [], drop: () => {} });
const KEPT = 5;
let next = 0;

export const words = (why: unknown) => (why instanceof Error ? why.message : String(why));

export function NewsProvider({ children }: { children: ReactNode }) {
  const [items, setItems] = useState<Item[]>([]);
  const drop = useCallback((id: string) => setItems((all) => all.filter((item) => item.id !== id)), []);
  const news = useMemo<News>(() => {
    const tell: News['tell'] = (type, header, content) => {
      const id = `news-${next++}`;
      setItems((all) => [{ id, type, header, content }, ...all].slice(0, KEPT));
      if (type === 'success') setTimeout(() => drop(id), 8_000);
    };
    const fail: News['fail'] = (header, why) => {
      const id = why instanceof Fault && why.requestId ? ` (request ${why.requestId})` : '';
      tell('error', header, `${words(why)}${id}`);
    };
    return { tell, fail };
  }, [drop]);
  const shown = useMemo(() => ({ items, drop }), [items, drop]);
  return (
    <Context.Provider value={news}>
      <ItemsContext.Provider value={shown}>{children}</ItemsContext.Provider>
    </Context.Provider>
  );
}

export const useNews = () => useContext(Context);

export function NewsBar() {
  const { items, drop } = useContext(ItemsContext);
  return (
    <Flashbar
      items={items.map((item) => ({ ...item, dismissible: true, dismissLabel: 'Dismiss', onDismiss: () => drop(item.id), ariaRole: item.type === 'error' ? 'alert' : 'status' }))}
    />
  );
}
