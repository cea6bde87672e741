// A dashboard with the data of one moment, on one page: what `window.picture` holds, which the page is made with.

import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-500.css';
import { EventBusSrv, ThemeContext, createTheme, dateTime } from '@grafana/data';
import { GlobalStyles, PanelChrome, PanelContextProvider } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { frames } from './frames.js';
import { TYPES } from './panels.jsx';

// The grid of Grafana: 24 columns, rows of 30 pixels, 8 between them.
const COLUMNS = 24;
const ROW = 30;
const GAP = 8;
const HEAD = 48;

const { board, answers, from, to, step, width } = window.picture;
const theme = createTheme({ colors: { mode: 'dark' } });
const range = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: '', to: '' } };
const context = { eventsScope: 'picture', eventBus: new EventBusSrv(), sync: () => 0, canAddAnnotations: () => false };

function place({ x, y, w, h }) {
  const column = (width - GAP) / COLUMNS;
  const row = ROW + GAP;
  return { left: GAP + x * column, top: HEAD + y * row, width: w * column - GAP, height: h * row - GAP };
}

function Panel({ panel }) {
  const Type = TYPES[panel.type];
  const { left, top, ...size } = place(panel.gridPos);
  const data = frames(panel, answers[panel.id], step, theme);
  return (
    <div style={{ position: 'absolute', left, top }}>
      <PanelChrome title={panel.title} {...size}>
        {(inner, height) => <Type panel={panel} data={data} range={range} theme={theme} width={inner} height={height} />}
      </PanelChrome>
    </div>
  );
}

function Board() {
  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context}>
        <div style={{ ...theme.typography.h4, margin: 0, padding: '12px 12px 0', display: 'flex', gap: 16 }}>
          <span>{board.title}</span>
          <span style={{ ...theme.typography.body, color: theme.colors.text.secondary }}>
            {clock(from)} to {clock(to)} UTC
          </span>
        </div>
        {board.panels.map((panel) => <Panel key={panel.id} panel={panel} />)}
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
}

document.body.style.background = theme.colors.background.canvas;
document.body.style.color = theme.colors.text.primary;
createRoot(document.getElementById('board')).render(<Board />);
// The driver takes no picture for good without this line.
const told = () => console.log(`drawn: ${document.querySelectorAll('canvas').length} canvases`);
document.fonts.ready.then(() => setTimeout(told, 1000));
