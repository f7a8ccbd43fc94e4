// Images: what instances start from. An upload shows how far it is and can be stopped.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FileUpload from '@cloudscape-design/components/file-upload';
import FormField from '@cloudscape-design/components/form-field';
import Modal from '@cloudscape-design/components/modal';
import ProgressBar from '@cloudscape-design/components/progress-bar';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { upload } from '../cloud/api';
import { openstack } from '../cloud/cli';
import type { Image } from '../cloud/kinds';
import { useAsk, useHere, useThings } from '../cloud/session';
import { bytes, sentence } from '../cloud/words';
import { Fields, initialValues, text, wrongs, type Field } from '../parts/form';
import { List } from '../parts/list';
import { useNews, words } from '../parts/news';
import { Ago, Command, Copy, Status } from '../parts/small';

export function Images() {
  const { project, isAdmin } = useHere();
  const { things, loading, error } = useThings('images');
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  const mine = (image: Image) => (image.owner === project.id || isAdmin ? true : 'It belongs to another project.');
  return (
    <>
      <List
        title="Images"
        one="image"
        things={things}
        loading={loading}
        error={error}
        id={(image) => image.id}
        name={(image) => image.name ?? image.id}
        create={{ label: 'Upload image', go: () => setOpen(true) }}
        columns={[
          { id: 'name', header: 'Name', cell: (image) => image.name ?? '–', by: (image) => image.name ?? '' },
          { id: 'status', header: 'Status', cell: (image) => <Status status={image.status} />, by: (image) => image.status },
          { id: 'size', header: 'Size', cell: (image) => bytes(image.size), by: (image) => image.size ?? 0 },
          { id: 'format', header: 'Format', cell: (image) => image.disk_format ?? '–', by: (image) => image.disk_format ?? '' },
          { id: 'visibility', header: 'Seen by', cell: (image) => sentence(image.visibility), by: (image) => image.visibility },
          { id: 'id', header: 'Id', cell: (image) => <Copy text={image.id} /> },
          { id: 'created', header: 'Created', cell: (image) => <Ago at={image.created_at} />, by: (image) => image.created_at },
        ]}
        actions={[
          {
            id: 'delete', label: 'Delete', danger: 'Instances that were started from it go on; no new ones can be.',
            can: (image) => (image.protected ? 'It is protected.' : mine(image)),
            command: (image) => openstack('image delete', [], image.id),
            run: (image) => ask('image', `/v2/images/${image.id}`, { method: 'DELETE' }),
          },
        ]}
      />
      {open && <UploadDialog close={() => setOpen(false)} />}
    </>
  );
}

const FORMATS = ['qcow2', 'raw', 'vmdk', 'vhdx', 'iso'];

function UploadDialog({ close }: { close: () => void }) {
  const { project } = useHere();
  const ask = useAsk();
  const news = useNews();
  const queries = useQueryClient();
  const fields: Field[] = [
    { name: 'name', label: 'Name', placeholder: 'debian-12' },
    { name: 'format', label: 'Format', kind: 'select', initial: 'qcow2', choices: FORMATS.map((value) => ({ value, label: value })) },
    { name: 'disk', label: 'Smallest disk, in GiB', kind: 'number', initial: '0', wrong: (value) => (/^\d{1,6}$/.test(value) ? undefined : 'A whole number.') },
    { name: 'ram', label: 'Smallest memory, in MiB', kind: 'number', initial: '0', wrong: (value) => (/^\d{1,9}$/.test(value) ? undefined : 'A whole number.') },
  ];
  const [values, setValues] = useState(() => initialValues(fields));
  const [files, setFiles] = useState<File[]>([]);
  const [tried, setTried] = useState(false);
  const [sent, setSent] = useState<number>();
  const [fault, setFault] = useState<unknown>();
  const stop = useRef<() => void>(() => {});
  const file = files[0];
  const wrong = wrongs(fields, values);
  const format = text(values, 'format');
  const choose = (chosen: File[]) => {
    setFiles(chosen);
    const [stem, ending] = chosen[0]?.name.split(/\.(?=[^.]+$)/) ?? [];
    const known = ending === 'img' ? format : FORMATS.find((format) => format === ending);
    setValues({ ...values, name: text(values, 'name') || stem || '', format: known ?? format });
  };
  const run = async () => {
    setTried(true);
    if (!file || Object.keys(wrong).length > 0) return;
    setFault(undefined);
    setSent(0);
    let made: { id: string } | undefined;
    try {
      made = await ask<{ id: string }>('image', '/v2/images', {
        method: 'POST',
        body: { name: text(values, 'name'), disk_format: format, container_format: 'bare', min_disk: Number(text(values, 'disk')), min_ram: Number(text(values, 'ram')) },
      });
      const going = upload(`image/v2/images/${made.id}/file`, file, { project: project.id }, setSent);
      stop.current = going.stop;
      await going.done;
      news.tell('success', `The image ${text(values, 'name')} is there`);
      close();
    } catch (why) {
      setFault(why);
      // What has no data is of no use; the form keeps everything for another try.
      if (made) await ask('image', `/v2/images/${made.id}`, { method: 'DELETE' }).catch(() => {});
    } finally {
      setSent(undefined);
      void queries.invalidateQueries({ queryKey: [project.id, 'images'] });
    }
  };
  const busy = sent !== undefined;
  const share = file && sent ? Math.round((sent / Math.max(1, file.size)) * 100) : 0;
  return (
    <Modal
      visible
      header="Upload an image"
      closeAriaLabel="Close"
      onDismiss={() => (busy ? stop.current() : close())}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => (busy ? stop.current() : close())}>{busy ? 'Stop' : 'Cancel'}</Button>
            <Button variant="primary" disabled={busy} disabledReason="The upload is going on." onClick={run}>Upload</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="l">
        {fault !== undefined && <Alert type="error" header="That did not work">{words(fault)}</Alert>}
        <FormField label="File" errorText={tried && !file ? 'A file is needed.' : undefined}>
          <FileUpload
            value={files}
            onChange={({ detail }) => choose(detail.value)}
            accept=".qcow2,.img,.raw,.vmdk,.vhdx,.iso"
            showFileSize
            i18nStrings={{ uploadButtonText: () => 'Choose a file', dropzoneText: () => 'Drop the file here', removeFileAriaLabel: () => 'Remove the file', limitShowFewer: 'Fewer', limitShowMore: 'More', errorIconAriaLabel: 'Error' }}
          />
        </FormField>
        <Fields fields={fields} values={values} wrong={tried ? wrong : {}} set={setValues} />
        {busy && <ProgressBar value={share} label="Uploading" additionalInfo={`${bytes(sent)} of ${bytes(file?.size)}`} ariaLabel="Upload" />}
        <Command text={openstack('image create', [['disk-format', format], ['container-format', 'bare'], ['file', file?.name ?? 'FILE']], text(values, 'name'))} />
      </SpaceBetween>
    </Modal>
  );
}
