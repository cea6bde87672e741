// From Prometheus' answers to what Grafana's panels take: data frames, with the field configuration of the panel applied.

import { FieldConfigOptionsRegistry, FieldType, applyFieldOverrides, toDataFrame } from '@grafana/data';

// Grafana itself registers these; without a registry the library drops units, colours and all else without a word.
const STANDARD = ['unit', 'min', 'max', 'decimals', 'color', 'thresholds', 'mappings', 'displayName', 'noValue'];
const CUSTOM = ['drawStyle', 'lineInterpolation', 'lineWidth', 'lineStyle', 'fillOpacity', 'gradientMode', 'showPoints',
  'spanNulls', 'stacking', 'axisPlacement', 'axisSoftMax', 'scaleDistribution'];

// What Grafana's time series panel assumes where a dashboard says nothing.
const LINES = { drawStyle: 'line', lineInterpolation: 'linear', gradientMode: 'none', spanNulls: false };

function property(path, isCustom) {
  const id = isCustom ? `custom.${path}` : path;
  return { id, path, isCustom, name: path, process: (value) => value, shouldApply: () => true, override: () => null };
}

const registry = new FieldConfigOptionsRegistry(() => [
  ...STANDARD.map((path) => property(path, false)),
  ...CUSTOM.map((path) => property(path, true)),
]);

/** The legend's text: {{label}} stands for the value of a label. */
export function named(format, labels) {
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
}

/** One frame for each series of each target of a panel. */
export function frames(panel, answers, step, theme) {
  const data = answers.flatMap((answer, target) =>
    answer.map(({ metric, value, values = [value] }) => {
      const name = named(panel.targets[target].legendFormat, metric);
      return toDataFrame({
        name,
        fields: [
          { name: 'Time', type: FieldType.time, config: { interval: step * 1000 },
            values: values.map(([time]) => Math.round(time * 1000)) },
          { name: 'Value', type: FieldType.number, config: { displayNameFromDS: name }, labels: metric,
            values: values.map(([, number]) => Number(number)) },
        ],
      });
    }),
  );
  const given = panel.fieldConfig;
  const custom = panel.type === 'timeseries' ? { ...LINES, ...given.defaults.custom } : given.defaults.custom;
  return applyFieldOverrides({
    data,
    theme,
    fieldConfig: { ...given, defaults: { ...given.defaults, custom } },
    fieldConfigRegistry: registry,
    replaceVariables: (text) => text,
    timeZone: 'utc',
  });
}
