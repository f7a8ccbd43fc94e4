// The whole: who is signed in, in which project, and which page.
import { I18nProvider } from '@cloudscape-design/components/i18n';
import messages from '@cloudscape-design/components/i18n/messages/all.en';
import Spinner from '@cloudscape-design/components/spinner';
import Box from '@cloudscape-design/components/box';
import Alert from '@cloudscape-design/components/alert';
import { QueryClient, QueryClientProvider, useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from 'react';
import { createBrowserRouter, Navigate, Outlet, RouterProvider, useParams } from 'react-router';
import { Fault, own, watchActivity } from './cloud/api';
import { ask } from './cloud/api';
import { watchLists } from './cloud/live';
import { fetchSession, HereContext, type Here, type Session } from './cloud/session';
import { NewsProvider, words } from './parts/news';
import { Frame } from './frame';
import { SignInDialog, SignInPage } from './signin';

const client = new QueryClient({
  defaultOptions: { queries: { retry: (count, why) => count < 2 && (!(why instanceof Fault) || why.status === 0 || why.status >= 500), refetchOnWindowFocus: true, staleTime: 2_000 } },
});

const screen = <M extends object>(load: () => Promise<M>, name: keyof M) => {
  const Lazy = lazy(async () => ({ default: (await load())[name] as unknown as React.ComponentType }));
  return <Suspense fallback={<Waiting />}><Lazy /></Suspense>;
};
const Waiting = () => <Box textAlign="center" padding="xxl"><Spinner size="large" /></Box>;

const router = createBrowserRouter(
  [
    { path: '/', element: <Start /> },
    {
      path: '/p/:project',
      element: <Project />,
      children: [
        { index: true, element: screen(() => import('./screens/overview'), 'Overview') },
        { path: 'instances', element: screen(() => import('./screens/instances'), 'Instances') },
        { path: 'instances/launch', element: screen(() => import('./screens/launch'), 'Launch') },
        { path: 'instances/:id', element: screen(() => import('./screens/instance'), 'Instance') },
        { path: 'images', element: screen(() => import('./screens/images'), 'Images') },
        { path: 'keypairs', element: screen(() => import('./screens/keypairs'), 'KeyPairs') },
        { path: 'topology', element: screen(() => import('./screens/topology'), 'Topology') },
        { path: 'networks', element: screen(() => import('./screens/networks'), 'Networks') },
        { path: 'networks/:id', element: screen(() => import('./screens/network'), 'NetworkPage') },
        { path: 'routers', element: screen(() => import('./screens/routers'), 'Routers') },
        { path: 'routers/:id', element: screen(() => import('./screens/router'), 'RouterPage') },
        { path: 'security-groups', element: screen(() => import('./screens/groups'), 'SecurityGroups') },
        { path: 'security-groups/:id', element: screen(() => import('./screens/group'), 'SecurityGroupPage') },
        { path: 'floating-ips', element: screen(() => import('./screens/floating'), 'FloatingIps') },
        { path: 'volumes', element: screen(() => import('./screens/volumes'), 'Volumes') },
        { path: 'volumes/:id', element: screen(() => import('./screens/volume'), 'VolumePage') },
        { path: 'snapshots', element: screen(() => import('./screens/snapshots'), 'Snapshots') },
        { path: 'backups', element: screen(() => import('./screens/backups'), 'Backups') },
        { path: 'stacks', element: screen(() => import('./screens/stacks'), 'Stacks') },
        { path: 'stacks/create', element: screen(() => import('./screens/stackform'), 'CreateStack') },
        { path: 'stacks/:id', element: screen(() => import('./screens/stack'), 'StackPage') },
        { path: 'stacks/:id/update', element: screen(() => import('./screens/stackform'), 'UpdateStack') },
        { path: 'containers', element: screen(() => import('./screens/containers'), 'Containers') },
        { path: 'containers/:name', element: screen(() => import('./screens/container'), 'ContainerPage') },
        { path: 'admin/projects', element: screen(() => import('./admin/projects'), 'Projects') },
        { path: 'admin/users', element: screen(() => import('./admin/users'), 'Users') },
        { path: 'admin/flavors', element: screen(() => import('./admin/flavors'), 'Flavors') },
        { path: 'admin/volume-types', element: screen(() => import('./admin/volumetypes'), 'VolumeTypes') },
        { path: 'admin/hosts', element: screen(() => import('./admin/hosts'), 'Hosts') },
      ],
    },
    { path: '*', element: <Navigate to="/" replace /> },
  ],
  { basename: '/dashboard' },
);

export function App() {
  return (
    <I18nProvider locale="en" messages={[messages]}>
      <QueryClientProvider client={client}>
        <NewsProvider><Signed /></NewsProvider>
      </QueryClientProvider>
    </I18nProvider>
  );
}

const LAST_PROJECT = 'nephos-project';

function Signed() {
  const session = useQuery({ queryKey: ['session'], queryFn: fetchSession, retry: false, staleTime: Infinity });
  if (session.isPending) return <Waiting />;
  if (!session.data) {
    const away = !(session.error instanceof Fault && session.error.status === 401);
    if (away) return <Box padding="xxl"><Alert type="error" header="The dashboard cannot be reached">{words(session.error)}</Alert></Box>;
    return <SignInPage done={(session) => client.setQueryData(['session'], session)} />;
  }
  return <RouterProvider router={router} />;
}

function useSession(): Session {
  return useQuery<Session>({ queryKey: ['session'], queryFn: fetchSession, staleTime: Infinity }).data!;
}

/** The project one worked in last, or the first. */
function Start() {
  const { projects } = useSession();
  const last = localStorage.getItem(LAST_PROJECT);
  const project = projects.find((project) => project.id === last) ?? projects[0];
  if (project) return <Navigate to={`/p/${project.id}`} replace />;
  return <Box padding="xxl"><Alert type="warning" header="You have no role on any project">Whoever runs this cloud can give you one. Sign out by closing the browser.</Alert></Box>;
}

function Project() {
  const session = useSession();
  const queries = useQueryClient();
  const { project: id = '' } = useParams();
  const project = session.projects.find((project) => project.id === id);
  const [ended, setEnded] = useState(false);
  const [live, setLive] = useState(false);
  const end = useCallback(() => setEnded(true), []);
  const roles = useQuery({ queryKey: [id, 'roles'], queryFn: () => own<{ roles: string[] }>(`/projects/${id}`), staleTime: 60_000, enabled: !!project });
  const catalog = useQuery({
    queryKey: [id, 'catalog'],
    queryFn: () => ask<{ catalog: { type: string }[] }>('identity', '/v3/auth/catalog', { project: id }),
    staleTime: Infinity,
    enabled: !!project,
  });
  useEffect(() => watchActivity(end), [end]);
  useEffect(() => {
    if (!project || ended) return;
    localStorage.setItem(LAST_PROJECT, id);
    return watchLists(queries, id, setLive, end);
  }, [queries, id, project, ended, end]);
  const here = useMemo<Here | null>(() => {
    if (!project || !roles.data || !catalog.data) return null;
    const mine = roles.data.roles;
    return {
      session, project, roles: mine, live,
      isAdmin: mine.includes('admin'),
      mayWrite: mine.includes('member') || mine.includes('admin'),
      services: new Set(catalog.data.catalog.map((entry) => entry.type)),
    };
  }, [session, project, roles.data, catalog.data, live]);
  if (!project) return <Navigate to="/" replace />;
  const fault = roles.error ?? catalog.error;
  if (fault && !here && !ended) return <Box padding="xxl"><Alert type="error" header={`The project ${project.name} cannot be opened`}>{words(fault)}</Alert></Box>;
  return (
    <>
      {here ? <HereContext.Provider value={here}><Frame><Outlet key={project.id} /></Frame></HereContext.Provider> : <Waiting />}
      {ended && (
        <SignInDialog
          user={session.user.name}
          done={(session) => {
            queries.setQueryData(['session'], session);
            setEnded(false);
            void queries.invalidateQueries();
          }}
        />
      )}
    </>
  );
}
