// An editor for templates. It stands in a shadow tree, where its styles are sheets of its own: the page's policy forbids
// styles that scripts write into a page.
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, bracketMatching, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, setDiagnostics } from '@codemirror/lint';
import { Compartment, EditorState } from '@codemirror/state';
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';

export interface Mistake {
  line: number;
  column: number;
  message: string;
}
interface Props {
  label: string;
  value: string;
  set?: (value: string) => void;
  mistake?: Mistake;
}

const isDark = () => document.documentElement.dataset.mode === 'dark';

function face(dark: boolean) {
  const [back, text, dim, line, edge] = dark ? ['#0f1720', '#e3ebf3', '#9db0c3', '#182430', '#33465a'] : ['#ffffff', '#16202b', '#55636f', '#eef4f4', '#c3ccd4'];
  const [key, word, number, comment] = dark ? ['#7fd8cb', '#f2c987', '#c6b3ff', '#9db0c3'] : ['#0b5f5f', '#7a4a00', '#5b3fb0', '#55636f'];
  return [
    EditorView.theme(
      {
        '&': { color: text, backgroundColor: back, border: `1px solid ${edge}`, borderRadius: '6px', fontSize: '13px', height: '100%' },
        '&.cm-focused': { outline: `2px solid ${key}` },
        '.cm-scroller': { fontFamily: "ui-monospace, 'DejaVu Sans Mono', monospace", lineHeight: '1.5' },
        '.cm-content': { caretColor: text },
        '.cm-cursor': { borderLeftColor: text },
        '.cm-gutters': { backgroundColor: back, color: dim, borderRight: `1px solid ${edge}` },
        '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: line },
        '.cm-tooltip': { backgroundColor: back, color: text, border: `1px solid ${edge}` },
      },
      { dark },
    ),
    syntaxHighlighting(
      HighlightStyle.define([
        { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: key },
        { tag: [tags.string, tags.special(tags.string)], color: word },
        { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: number },
        { tag: [tags.comment, tags.lineComment], color: comment, fontStyle: 'italic' },
      ]),
    ),
  ];
}

export function Editor({ label, value, set, mistake }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const tell = useRef(set);
  tell.current = set;
  // What was told and has not come back yet: it comes back late, when more may have been typed since.
  const told = useRef<string[]>([]);
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const root = element.shadowRoot ?? element.attachShadow({ mode: 'open' });
    const look = new Compartment();
    const state = EditorState.create({
      doc: value,
      extensions: [
        lineNumbers(), highlightActiveLine(), highlightActiveLineGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(), yaml(), lintGutter(),
        keymap.of([...defaultKeymap, ...historyKeymap]),
        look.of(face(isDark())),
        EditorView.contentAttributes.of({ 'aria-label': label }),
        EditorState.readOnly.of(!set),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          const now = update.state.doc.toString();
          told.current.push(now);
          tell.current?.(now);
        }),
      ],
    });
    const made = new EditorView({ state, root, parent: root });
    // What scrolls can be scrolled by keys.
    made.scrollDOM.tabIndex = 0;
    view.current = made;
    const mode = new MutationObserver(() => made.dispatch({ effects: look.reconfigure(face(isDark())) }));
    mode.observe(document.documentElement, { attributeFilter: ['data-mode'] });
    return () => {
      mode.disconnect();
      made.destroy();
      view.current = null;
    };
    // The editor is made once; what is typed lives in it, and what comes from outside is put into it below.
  }, []);
  useEffect(() => {
    const made = view.current;
    const own = told.current.lastIndexOf(value);
    told.current.splice(0, own + 1);
    if (own >= 0) return;
    const now = made?.state.doc.toString();
    if (made && now !== value) made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: value } });
    told.current = [];
  }, [value]);
  useEffect(() => {
    const made = view.current;
    if (!made) return;
    if (!mistake) return made.dispatch(setDiagnostics(made.state, []));
    const line = made.state.doc.line(Math.min(Math.max(1, mistake.line), made.state.doc.lines));
    const from = Math.min(line.from + Math.max(0, mistake.column - 1), line.to);
    made.dispatch(setDiagnostics(made.state, [{ from, to: line.to, severity: 'error', message: mistake.message }]), { selection: { anchor: from }, scrollIntoView: true });
  }, [mistake]);
  return <div className="editor" ref={host} data-testid="editor" />;
}
