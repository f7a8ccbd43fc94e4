// Signing in: a page of its own, or a dialog over a page whose session has ended, which keeps what was typed there.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import ExpandableSection from '@cloudscape-design/components/expandable-section';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState, type FormEvent } from 'react';
import { own, signedIn } from './cloud/api';
import type { Session } from './cloud/session';
import { words } from './parts/news';

function SignInForm({ user: known, done }: { user?: string; done: (session: Session) => void }) {
  const [user, setUser] = useState(known ?? '');
  const [password, setPassword] = useState('');
  const [domain, setDomain] = useState('Default');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string>();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!user || !password) return setFault('User name and password are needed.');
    setBusy(true);
    setFault(undefined);
    try {
      const session = await own<Session>('/session', { method: 'POST', body: { user, password, domain: domain || 'Default' } });
      signedIn();
      done(session);
    } catch (why) {
      setFault(words(why));
      setPassword('');
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit}>
      <SpaceBetween size="m">
        {fault && <Alert type="error">{fault}</Alert>}
        <FormField label="User name" stretch><Input value={user} autoFocus={!known} autoComplete="username" spellcheck={false} onChange={({ detail }) => setUser(detail.value)} /></FormField>
        <FormField label="Password" stretch><Input value={password} type="password" autoFocus={!!known} autoComplete="current-password" onChange={({ detail }) => setPassword(detail.value)} /></FormField>
        <ExpandableSection headerText="Another domain">
          <FormField label="Domain" stretch><Input value={domain} spellcheck={false} onChange={({ detail }) => setDomain(detail.value)} /></FormField>
        </ExpandableSection>
        <Button variant="primary" formAction="submit" loading={busy} fullWidth>Sign in</Button>
      </SpaceBetween>
    </form>
  );
}

export function SignInPage({ done }: { done: (session: Session) => void }) {
  return (
    <main className="sign-in">
      <div className="brand"><img src="/dashboard/icon.svg" alt="" />Nephos</div>
      <Container header={<Box variant="h1">Sign in</Box>}><SignInForm done={done} /></Container>
    </main>
  );
}

export function SignInDialog({ user, done }: { user: string; done: (session: Session) => void }) {
  return (
    <Modal visible modalRoot={document.getElementById('front') ?? undefined} header="Your session has ended" closeAriaLabel="Close" onDismiss={() => location.reload()}>
      <SpaceBetween size="m">
        <Box>Sign in again to go on; what you have typed stays.</Box>
        <SignInForm user={user} done={done} />
      </SpaceBetween>
    </Modal>
  );
}
