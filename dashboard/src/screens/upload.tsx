// Uploads into a container, one after the other, each with how far it is.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FileUpload from '@cloudscape-design/components/file-upload';
import FormField from '@cloudscape-design/components/form-field';
import Modal from '@cloudscape-design/components/modal';
import ProgressBar from '@cloudscape-design/components/progress-bar';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useRef, useState } from 'react';
import { upload } from '../cloud/api';
import { openstack } from '../cloud/cli';
import { objectPath } from '../cloud/objects';
import { useHere } from '../cloud/session';
import { bytes } from '../cloud/words';
import { useNews, words } from '../parts/news';
import { Command } from '../parts/small';

const MOST_FILES = 100;

export function UploadObjects({ container, prefix, close }: { container: string; prefix: string; close: () => void }) {
  const { project } = useHere();
  const news = useNews();
  const [files, setFiles] = useState<File[]>([]);
  const [tried, setTried] = useState(false);
  const [going, setGoing] = useState<{ file: File; at: number; sent: number }>();
  const [fault, setFault] = useState<unknown>();
  const stop = useRef<() => void>(() => {});
  const run = async () => {
    setTried(true);
    if (files.length === 0) return;
    setFault(undefined);
    try {
      for (const [at, file] of files.entries()) {
        setGoing({ file, at, sent: 0 });
        const path = `object${objectPath(project.id, container, prefix + file.name)}`;
        const how = { project: project.id, headers: { 'Content-Type': file.type || 'application/octet-stream' } };
        const sending = upload(path, file, how, (sent) => setGoing({ file, at, sent }));
        stop.current = sending.stop;
        await sending.done;
        // What is there need not be sent again when a later one fails.
        setFiles((all) => all.filter((one) => one !== file));
      }
      news.tell('success', files.length === 1 ? `${files[0]!.name} is there` : `${files.length} objects are there`);
      close();
    } catch (why) {
      setFault(why);
    } finally {
      setGoing(undefined);
    }
  };
  const share = going ? Math.round((going.sent / Math.max(1, going.file.size)) * 100) : 0;
  const names = files.length > 0 ? files.map((file) => file.name) : ['FILE'];
  return (
    <Modal
      visible
      header={`Upload into ${container}${prefix ? `/${prefix}` : ''}`}
      closeAriaLabel="Close"
      onDismiss={() => (going ? stop.current() : close())}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => (going ? stop.current() : close())}>{going ? 'Stop' : 'Cancel'}</Button>
            <Button variant="primary" disabled={!!going} disabledReason="The upload is going on." onClick={run}>Upload</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="l">
        {fault !== undefined && <Alert type="error" header="That did not work">{words(fault)}</Alert>}
        <FormField label="Files" description="An object of the same name is replaced." errorText={tried && files.length === 0 && !going ? 'A file is needed.' : undefined}>
          <FileUpload
            multiple
            value={files}
            onChange={({ detail }) => setFiles(detail.value.slice(0, MOST_FILES))}
            showFileSize
            i18nStrings={{ uploadButtonText: () => 'Choose files', dropzoneText: () => 'Drop the files here', removeFileAriaLabel: (at) => `Remove file ${at + 1}`, limitShowFewer: 'Fewer', limitShowMore: 'More', errorIconAriaLabel: 'Error' }}
          />
        </FormField>
        {going && <ProgressBar value={share} label={`Uploading ${going.file.name}`} additionalInfo={`${bytes(going.sent)} of ${bytes(going.file.size)}`} ariaLabel="Upload" />}
        <Command text={names.slice(0, 10).map((name) => openstack('object create', [['name', prefix && prefix + name]], container, name)).join('\n')} />
      </SpaceBetween>
    </Modal>
  );
}
