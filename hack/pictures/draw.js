// Draws each chart of the page with uPlot, the library with which Grafana draws time series.
for (const box of document.querySelectorAll('.chart')) {
  const chart = JSON.parse(box.parentNode.querySelector('script').textContent);
  const count = chart.series.length;
  const grid = { stroke: '#e7e8e9', width: 1 };
  const font = '11px "DejaVu Sans", Arial, sans-serif';
  const longest = Math.max(...chart.names.map((name) => name.length));
  new uPlot({
    width: box.clientWidth,
    height: box.clientHeight,
    pxAlign: 1,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true }, y: { range: [chart.places[0], chart.places[chart.places.length - 1]] } },
    axes: [
      { grid, font, ticks: { show: false }, size: 26, values: (_, at) => at.map((time) => new Date(time * 1000).toISOString().slice(11, 16)) },
      { grid, font, ticks: { show: false }, size: 16 + 7 * longest, splits: () => chart.places, values: () => chart.names },
    ],
    series: [{}, ...chart.series.map((one) => ({
      stroke: one.color,
      width: chart.width,
      points: { show: count > 0 && one.points.filter((point) => point !== null).length < 3 },
      fill: chart.fill > 0 ? one.color + Math.round(chart.fill * 2.55).toString(16).padStart(2, '0') : undefined,
    }))],
    // What is stacked is filled down to the series below.
    bands: chart.stack ? chart.series.slice(1).map((_, at) => ({ series: [at + 2, at + 1] })) : [],
  }, [chart.times, ...chart.series.map((one) => one.points)], box);
}
