// Each type of panel that the dashboards use, as Grafana's own panel of that type draws it with the same library.

import { getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';

function Lines({ panel, data, range, width, height }) {
  return (
    <TimeSeries frames={data} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height}
      legend={{ calcs: [], ...panel.options.legend }} options={panel.options} />
  );
}

function Repeated({ panel, data, theme, width, height, spacing, minimum, children }) {
  const values = () =>
    getFieldDisplayValues({
      data, theme, fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, timeZone: 'utc',
      replaceVariables: (text) => text,
    });
  return (
    <VizRepeater source={data} getValues={values} renderCounter={0} width={width} height={height} itemSpacing={spacing}
      minVizHeight={minimum} orientation={panel.options.orientation} autoGrid={panel.options.orientation === 'auto'}
      getAlignmentFactors={(all) => getDisplayValueAlignmentFactors(all)} renderValue={children} />
  );
}

function Numbers(props) {
  const { options } = props.panel;
  return (
    <Repeated {...props} spacing={3}>
      {({ value, width, height, alignmentFactors, count }) => (
        <BigValue value={value.display} theme={props.theme} width={width} height={height} alignmentFactors={alignmentFactors}
          colorMode={options.colorMode} graphMode={options.graphMode} justifyMode={options.justifyMode}
          textMode={options.textMode} count={count} wideLayout={options.wideLayout} />
      )}
    </Repeated>
  );
}

function Bars(props) {
  const { options } = props.panel;
  return (
    <Repeated {...props} spacing={8} minimum={10}>
      {({ value, width, height, alignmentFactors, orientation }) => (
        <BarGauge value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          theme={props.theme} width={width} height={height} alignmentFactors={alignmentFactors} orientation={orientation}
          displayMode={options.displayMode} itemSpacing={8} lcdCellWidth={8} showUnfilled={options.showUnfilled ?? true}
          valueDisplayMode={options.valueMode ?? 'color'} />
      )}
    </Repeated>
  );
}

export const TYPES = { timeseries: Lines, stat: Numbers, bargauge: Bars };
