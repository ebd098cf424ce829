"""Cameras, lights, surfaces and meshes for the render script: everything that is not a product or a set."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import bpy
import numpy as np
from mathutils import Matrix, Vector

Point = tuple[float, float, float]
Surface = Callable[[float, float], Point]  # (u, v) in 0..1 to a point; u runs right, v runs down

# The camera stands at -y and looks at this point; a frame of `n` units shows n units there.
TARGET = Vector((0.0, 0.0, 0.42))
DISTANCE = 6.0
ELEVATION = {"level": 7.0, "high": 24.0}  # degrees above the target

PARTS = {"main": (1, 0, 0), "second": (0, 1, 0), "label": (0, 0, 1), "third": (0, 0, 0)}


# -- the house -----------------------------------------------------------------------------------


def reset(samples: int) -> None:
    """An empty scene that renders with Cycles on the processor."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.cycles.denoising_prefilter = "FAST"
    scene.cycles.max_bounces = 6
    scene.cycles.diffuse_bounces = 2
    scene.cycles.glossy_bounces = 2
    scene.cycles.transmission_bounces = 6
    scene.cycles.caustics_reflective = False
    scene.cycles.sample_clamp_indirect = 4
    scene.cycles.film_transparent_glass = False
    scene.cycles.seed = 7
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 2
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    scene.render.image_settings.color_mode = "RGBA"
    scene.view_settings.view_transform = "Raw"
    world = bpy.data.worlds.new("world")
    scene.world = world
    world.use_nodes = True


def camera(angle: str, frame: float, *, aperture: float = 0.0) -> None:
    """Look from `angle`; the square picture is `frame` units wide at the target."""
    scene = bpy.context.scene
    if scene.camera is None:
        data = bpy.data.cameras.new("camera")
        scene.camera = bpy.data.objects.new("camera", data)
        scene.collection.objects.link(scene.camera)
    tilt = math.radians(ELEVATION[angle])
    eye = TARGET + Vector((0, -math.cos(tilt), math.sin(tilt))) * DISTANCE
    scene.camera.location = eye
    scene.camera.rotation_euler = (TARGET - eye).to_track_quat("-Z", "Y").to_euler()
    scene.camera.data.sensor_width = 36
    scene.camera.data.angle = 2 * math.atan(frame / 2 / DISTANCE)
    scene.camera.data.clip_end = 200
    scene.camera.data.dof.use_dof = aperture > 0
    scene.camera.data.dof.focus_distance = DISTANCE
    if aperture:
        scene.camera.data.dof.aperture_fstop = aperture
    bpy.context.view_layer.update()


def project(point: Point | Vector, angle: str, frame: float) -> tuple[float, float]:
    """Where a point lies in a square picture `frame` units wide: x right, y down, both in 0..1."""
    tilt = math.radians(ELEVATION[angle])
    back = Vector((0, -math.cos(tilt), math.sin(tilt)))
    up = Vector((0, math.sin(tilt), math.cos(tilt)))
    away = Vector(point) - TARGET
    depth = DISTANCE - away.dot(back)
    reach = frame / DISTANCE
    return 0.5 + away.x / depth / reach, 0.5 - away.dot(up) / depth / reach


# Three rigs in one render: red light is the soft studio, green the sun, blue the dark studio. Everything
# in the scene is grey, so the channels never mix and one picture holds three lightings.
def rigs(*, room: bool = False) -> None:
    """The lights of a product or, for a `room`, those that do not rake along its walls."""
    soft, sun, dark = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    area(soft, 235, at=(-3.2, -2.0, 2.8), size=(2.4, 2.6))
    area(soft, 26, at=(3.4, -2.0, 1.6), size=(2.2, 2.8))
    area(soft, 90, at=(0.5, 1.4, 3.8), size=(3.0, 1.6))
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.energy, lamp.angle, lamp.color = 3.1, math.radians(2.5), sun
    _aim(lamp, at=(-3.0, -1.7, 2.7))
    area(sun, 16, at=(3.0, -2.6, 1.6), size=(3.0, 3.0))
    if room:
        area(dark, 26, at=(-2.6, -2.2, 2.6), size=(0.9, 1.8))
    else:
        _rims(dark)
    world = bpy.context.scene.world.node_tree.nodes["Background"]
    world.inputs["Color"].default_value = (0.17, 0.24, 0.014, 1)


def _rims(dark: Point) -> None:
    area(dark, 110, at=(-2.0, 1.3, 1.2), size=(0.5, 2.6))
    area(dark, 140, at=(2.1, 1.1, 1.4), size=(0.6, 2.8))
    area(dark, 60, at=(-2.6, -2.2, 2.6), size=(0.9, 1.8))
    area(dark, 24, at=(0.2, 0.6, 3.6), size=(1.6, 0.8))


def area(
    colour: Point, power: float, *, at: Point, size: tuple[float, float], to: Point = (0, 0, 0.4)
) -> None:
    lamp = bpy.data.lights.new("area", "AREA")
    lamp.energy, lamp.color, lamp.shape = power, colour, "RECTANGLE"
    lamp.size, lamp.size_y = size
    _aim(lamp, at=at, to=to)


def _aim(lamp: "bpy.types.Light", *, at: Point, to: Point = (0, 0, 0.4)) -> None:
    thing = bpy.data.objects.new("lamp", lamp)
    thing.location = at
    thing.rotation_euler = (Vector(to) - Vector(at)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(thing)


def shoot(size: int, *, samples: int, transparent: bool, denoise: bool = True, path: str) -> np.ndarray:
    """The render as linear floats, rows from the top, RGBA premultiplied."""
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.cycles.samples = samples
    scene.cycles.use_denoising = denoise
    scene.render.film_transparent = transparent
    scene.render.filepath = path
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(path, check_existing=False)
    pixels = np.empty(size * size * 4, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(size, size, 4)[::-1]


# -- surfaces ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finish:
    """How a part looks apart from its colour, which comes at request time."""

    rough: float = 0.45
    gloss: float = 0.5
    bump: str = ""  # weave, knit, fibre, stone, wood, twist, waffle
    bump_scale: float = 1.0
    bump_depth: float = 0.3
    mottle: float = 0.0  # how much the tone varies
    glass: bool = False
    metal: bool = False


PLASTIC = Finish(0.32)
SATIN = Finish(0.45, 0.5)
MATT = Finish(0.6, 0.35)
PAPER = Finish(0.75, 0.25)
KRAFT = Finish(0.7, 0.25, bump="fibre", bump_depth=0.08, mottle=0.10)
GLASS = Finish(0.04, 0.6, glass=True)
METAL = Finish(0.22, 1.0, metal=True)
RUBBER = Finish(0.5, 0.45)
CERAMIC = Finish(0.16, 0.5)
CLOTH = Finish(0.9, 0.12, bump="weave", bump_depth=0.35, mottle=0.10)
KNIT = Finish(0.95, 0.08, bump="knit", bump_depth=0.4, mottle=0.08)
WOOD = Finish(0.5, 0.3, bump="wood", bump_depth=0.05, mottle=0.28)
STONE = Finish(0.85, 0.15, bump="stone", bump_depth=0.55, mottle=0.2)
ROPE = Finish(0.9, 0.12, bump="twist", bump_depth=0.8, mottle=0.25)

_materials: list[tuple["bpy.types.Material", str, Finish]] = []


def material(part: str, finish: Finish) -> "bpy.types.Material":
    made = bpy.data.materials.new(part)
    made.use_nodes = True
    _materials.append((made, part, finish))
    return made


def finishes() -> list[tuple["bpy.types.Material", str, Finish]]:
    return _materials


def forget() -> None:
    _materials.clear()


def dress(passing: str) -> None:
    """Give every material the nodes for `passing`: shade, shine or parts."""
    for made, part, finish in _materials:
        nodes, links = made.node_tree.nodes, made.node_tree.links
        nodes.clear()
        out = nodes.new("ShaderNodeOutputMaterial")
        if passing == "parts":
            shader = nodes.new("ShaderNodeEmission")
            shader.inputs["Color"].default_value = (*PARTS[part], 1)
        elif passing == "shine":
            shader = nodes.new("ShaderNodeBsdfPrincipled")
            base = (0.62,) * 3 if finish.metal else (0.0,) * 3
            shader.inputs["Base Color"].default_value = (*base, 1)
            shader.inputs["Metallic"].default_value = float(finish.metal)
            shader.inputs["Roughness"].default_value = finish.rough
            shader.inputs["Specular IOR Level"].default_value = finish.gloss
        elif finish.glass:
            shader = nodes.new("ShaderNodeBsdfGlass")
            shader.inputs["IOR"].default_value = 1.3
            shader.inputs["Roughness"].default_value = 0.03
        else:
            shader = nodes.new("ShaderNodeBsdfDiffuse")
            shade = 0.25 if finish.metal else 0.8
            shader.inputs["Color"].default_value = (shade, shade, shade, 1)
        if passing != "parts" and finish.bump:
            height = _bump(nodes, links, finish)
            bump = nodes.new("ShaderNodeBump")
            bump.inputs["Strength"].default_value = min(1.0, finish.bump_depth)
            bump.inputs["Distance"].default_value = 0.02 / max(finish.bump_scale, 0.1)
            links.new(height, bump.inputs["Height"])
            links.new(bump.outputs["Normal"], shader.inputs["Normal"])
            if passing == "shade" and finish.mottle:
                ramp = nodes.new("ShaderNodeMapRange")
                ramp.inputs["To Min"].default_value = 0.8 * (1 - finish.mottle)
                ramp.inputs["To Max"].default_value = 0.8
                links.new(height, ramp.inputs["Value"])
                links.new(ramp.outputs["Result"], shader.inputs["Color"])
        links.new(shader.outputs[0], out.inputs["Surface"])


def _bump(nodes, links, finish: Finish):
    """A height between 0 and 1 in object space."""
    place = nodes.new("ShaderNodeTexCoord").outputs["Object"]
    scale = finish.bump_scale

    def noise(size: float, detail: float = 3, stretch: Point = (1, 1, 1)):
        mapping = nodes.new("ShaderNodeMapping")
        mapping.inputs["Scale"].default_value = stretch
        links.new(place, mapping.inputs["Vector"])
        made = nodes.new("ShaderNodeTexNoise")
        made.inputs["Scale"].default_value = size * scale
        made.inputs["Detail"].default_value = detail
        links.new(mapping.outputs[0], made.inputs["Vector"])
        return made.outputs["Factor" if "Factor" in made.outputs else "Fac"]

    def wave(size: float, direction: str, wobble: float = 0.6):
        made = nodes.new("ShaderNodeTexWave")
        made.bands_direction = direction
        made.inputs["Scale"].default_value = size * scale
        made.inputs["Distortion"].default_value = wobble
        made.inputs["Detail"].default_value = 1
        links.new(place, made.inputs["Vector"])
        return made.outputs["Factor" if "Factor" in made.outputs else "Fac"]

    def join(one, other, how: str = "MULTIPLY"):
        made = nodes.new("ShaderNodeMath")
        made.operation = how
        links.new(one, made.inputs[0])
        links.new(other, made.inputs[1])
        return made.outputs[0]

    if finish.bump == "weave":
        return join(
            join(wave(26, "X"), wave(26, "Z"), "ADD"), join(noise(9), noise(70, 2), "ADD"), "MULTIPLY"
        )
    if finish.bump == "knit":
        return join(join(wave(17, "X", 0.3), wave(15, "Z", 0.8)), noise(40), "ADD")
    if finish.bump == "waffle":
        return join(wave(5, "X", 0.1), wave(5, "Z", 0.1), "MINIMUM")
    if finish.bump == "fibre":
        return join(noise(60, 2, (1, 1, 0.2)), noise(26, 4, (0.3, 1, 1)), "MULTIPLY")
    if finish.bump == "wood":
        return join(noise(5, 5, (0.5, 6, 6)), noise(20, 2, (0.3, 8, 8)), "MULTIPLY")
    if finish.bump == "twist":
        made = nodes.new("ShaderNodeTexWave")
        made.bands_direction = "X"
        uv = nodes.new("ShaderNodeUVMap")
        mapping = nodes.new("ShaderNodeMapping")
        links.new(uv.outputs[0], mapping.inputs["Vector"])
        links.new(mapping.outputs[0], made.inputs["Vector"])
        mapping.inputs["Scale"].default_value = (1, 1, 1)
        made.bands_direction = "DIAGONAL"
        made.inputs["Scale"].default_value = finish.bump_scale
        return join(made.outputs["Factor" if "Factor" in made.outputs else "Fac"], noise(90), "MULTIPLY")
    return join(noise(7, 6), noise(34, 6), "MULTIPLY")


# -- meshes --------------------------------------------------------------------------------------


@dataclass
class Model:
    """A product while it is built: what was made, and where its name goes."""

    things: list["bpy.types.Object"] = field(default_factory=list)
    label: Surface | None = None
    label_size: tuple[float, float] = (1.0, 1.0)
    placed: Matrix = field(default_factory=lambda: Matrix.Identity(4))

    def mesh(
        self,
        points: Sequence[Point],
        faces: Sequence[Sequence[int]],
        part: str,
        finish: Finish,
        *,
        smooth: bool = True,
        bevel: float = 0.0,
        subdivide: int = 0,
        thick: float = 0.0,
    ) -> "bpy.types.Object":
        data = bpy.data.meshes.new(part)
        data.from_pydata([tuple(map(float, point)) for point in points], [], [tuple(face) for face in faces])
        data.validate()
        data.materials.append(material(part, finish))
        thing = bpy.data.objects.new(part, data)
        bpy.context.scene.collection.objects.link(thing)
        if thick:
            made = thing.modifiers.new("thick", "SOLIDIFY")
            made.thickness, made.offset = thick, 0.0
        if bevel:
            made = thing.modifiers.new("bevel", "BEVEL")
            made.width, made.segments, made.limit_method, made.angle_limit = bevel, 4, "ANGLE", 0.6
            made.harden_normals = True
        if subdivide:
            made = thing.modifiers.new("smooth", "SUBSURF")
            made.levels = made.render_levels = subdivide
        if smooth:
            data.polygons.foreach_set("use_smooth", [True] * len(data.polygons))
        self.things.append(thing)
        return thing

    def lathe(
        self,
        profile: Sequence[tuple[float, float]],
        part: str,
        finish: Finish,
        *,
        round_by: float = 0.0,
        ribs: int = 0,
        turn: int = 128,
        at: Point = (0, 0, 0),
        squash: float = 1.0,
    ) -> "bpy.types.Object":
        """A profile of (radius, height) turned about the upright axis."""
        line = fillet(profile, round_by) if round_by else list(profile)
        points: list[Point] = []
        for radius, height in line:
            for step in range(turn):
                angle = 2 * math.pi * step / turn
                rib = 1 + (0.012 * math.cos(ribs * angle) if ribs else 0)
                points.append(
                    (
                        at[0] + radius * rib * math.cos(angle),
                        at[1] + radius * rib * math.sin(angle) * squash,
                        at[2] + height,
                    )
                )
        faces = [
            (
                row * turn + step,
                row * turn + (step + 1) % turn,
                (row + 1) * turn + (step + 1) % turn,
                (row + 1) * turn + step,
            )
            for row in range(len(line) - 1)
            for step in range(turn)
        ]
        thing = self.mesh(points, faces, part, finish)
        soften(thing, 0.7)
        return thing

    def loft(
        self,
        rings: Sequence[Sequence[Point]],
        part: str,
        finish: Finish,
        *,
        caps: bool = True,
        subdivide: int = 0,
    ) -> "bpy.types.Object":
        """Closed rings of equally many points, joined one to the next."""
        turn = len(rings[0])
        points = [point for ring in rings for point in ring]
        faces: list[tuple[int, ...]] = [
            (
                row * turn + step,
                row * turn + (step + 1) % turn,
                (row + 1) * turn + (step + 1) % turn,
                (row + 1) * turn + step,
            )
            for row in range(len(rings) - 1)
            for step in range(turn)
        ]
        if caps:
            faces.append(tuple(range(turn))[::-1])
            faces.append(tuple(range(len(points) - turn, len(points))))
        thing = self.mesh(points, faces, part, finish, subdivide=subdivide)
        soften(thing, 0.7)
        return thing

    def box(
        self,
        size: Point,
        part: str,
        finish: Finish,
        *,
        at: Point = (0, 0, 0),
        bevel: float = 0.02,
        turn: Point = (0, 0, 0),
        subdivide: int = 0,
    ) -> "bpy.types.Object":
        """A block whose foot is centred on `at`."""
        w, d, h = size[0] / 2, size[1] / 2, size[2]
        points = [(x, y, z) for x in (-w, w) for y in (-d, d) for z in (0, h)]
        faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        thing = self.mesh(points, faces, part, finish, bevel=bevel, smooth=True, subdivide=subdivide)
        thing.location, thing.rotation_euler = at, turn
        return thing

    def sheet(
        self,
        surface: Surface,
        part: str,
        finish: Finish,
        *,
        cells: tuple[int, int] = (48, 48),
        thick: float = 0.0,
        across: tuple[float, float] = (0, 1),
        down: tuple[float, float] = (0, 1),
    ) -> "bpy.types.Object":
        n, m = cells
        points = [
            surface(across[0] + (across[1] - across[0]) * i / n, down[0] + (down[1] - down[0]) * j / m)
            for j in range(m + 1)
            for i in range(n + 1)
        ]
        faces = [
            (j * (n + 1) + i, (j + 1) * (n + 1) + i, (j + 1) * (n + 1) + i + 1, j * (n + 1) + i + 1)
            for j in range(m)
            for i in range(n)
        ]
        return self.mesh(points, faces, part, finish, thick=thick)

    def tube(
        self,
        points: Sequence[Point],
        radius: float,
        part: str,
        finish: Finish,
        *,
        closed: bool = False,
        flat: float = 0.0,
    ) -> "bpy.types.Object":
        """A round cord along `points`, or a strap `flat` times as wide as thick."""
        data = bpy.data.curves.new(part, "CURVE")
        data.dimensions, data.use_fill_caps = "3D", True
        data.resolution_u = 6
        if flat:
            data.bevel_mode = "OBJECT"
            shape = bpy.data.curves.new("strap", "CURVE")
            shape.dimensions = "2D"
            ring = shape.splines.new("POLY")
            outline = [
                (flat * radius, radius),
                (-flat * radius, radius),
                (-flat * radius, -radius),
                (flat * radius, -radius),
            ]
            outline = fillet([*outline, outline[0]], radius * 0.8)[:-1]
            ring.points.add(len(outline) - 1)
            for knot, (x, y) in zip(ring.points, outline, strict=True):
                knot.co = (x, y, 0, 1)
            ring.use_cyclic_u = True
            holder = bpy.data.objects.new("strap", shape)
            data.bevel_object = holder
        else:
            data.bevel_depth, data.bevel_resolution = radius, 6
        line = data.splines.new("NURBS")
        line.points.add(len(points) - 1)
        for knot, point in zip(line.points, points, strict=True):
            knot.co = (*point, 1)
        line.use_endpoint_u, line.order_u, line.use_cyclic_u = not closed, 4, closed
        data.materials.append(material(part, finish))
        thing = bpy.data.objects.new(part, data)
        bpy.context.scene.collection.objects.link(thing)
        self.things.append(thing)
        return thing

    def named(
        self,
        surface: Surface,
        size: tuple[float, float],
        finish: Finish = PAPER,
        *,
        across: tuple[float, float] = (0, 1),
        down: tuple[float, float] = (0, 1),
        cells: tuple[int, int] = (64, 24),
        thick: float = 0.0,
    ) -> None:
        """Paper on `surface`; the name is lettered on its unit square, which is `size` large."""
        self.sheet(surface, "label", finish, cells=cells, across=across, down=down, thick=thick)
        # A product may have been moved already; what is added later stands where it is put.
        moved = self.placed.inverted()
        self.label = lambda u, v: tuple(moved @ Vector(surface(u, v)))
        self.label_size = size

    def place(self, matrix: Matrix) -> None:
        """Move the whole product."""
        bpy.context.view_layer.update()  # else a location set just now is not yet in the matrix
        for thing in self.things:
            thing.matrix_world = matrix @ thing.matrix_world
        self.placed = matrix @ self.placed
        bpy.context.view_layer.update()

    def corners(self) -> np.ndarray:
        """All evaluated vertices in world space."""
        graph = bpy.context.evaluated_depsgraph_get()
        found = []
        for thing in self.things:
            solid = thing.evaluated_get(graph)
            data = solid.to_mesh()
            flat = np.empty(len(data.vertices) * 3, dtype=np.float32)
            data.vertices.foreach_get("co", flat)
            matrix = np.array(thing.matrix_world)
            found.append(flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
            solid.to_mesh_clear()
        return np.concatenate(found)


def soften(thing: "bpy.types.Object", angle: float) -> None:
    """Smooth shading, but keep edges sharper than `angle` radians."""
    thing.data.set_sharp_from_angle(angle=angle)


def fillet(points: Sequence[tuple[float, float]], radius: float, steps: int = 8) -> list[tuple[float, float]]:
    """`points` with each corner rounded by up to `radius`."""
    line: list[tuple[float, float]] = [points[0]]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        a, b, c = np.array(before, float), np.array(here, float), np.array(after, float)
        into, out = b - a, c - b
        long_in, long_out = float(np.linalg.norm(into)), float(np.linalg.norm(out))
        if min(long_in, long_out) < 1e-9:
            continue
        cut = min(radius, long_in * 0.49, long_out * 0.49)
        start, end = b - into / long_in * cut, b + out / long_out * cut
        for step in range(steps + 1):
            t = step / steps
            spot = (1 - t) ** 2 * start + 2 * t * (1 - t) * b + t * t * end
            line.append((float(spot[0]), float(spot[1])))
    line.append(points[-1])
    return line


def around(radius: float, low: float, high: float, spread: float, *, squash: float = 1.0) -> Surface:
    """The front of an upright cylinder, `spread` degrees to either side of the middle."""

    def surface(u: float, v: float) -> Point:
        angle = math.radians((u - 0.5) * 2 * spread)
        return radius * math.sin(angle), -radius * math.cos(angle) * squash, high + (low - high) * v

    return surface


def flat(width: float, height: float, middle: Point, *, lean: float = 0.0) -> Surface:
    """An upright rectangle facing the camera, its top tilted back by `lean` degrees."""
    tilt = math.radians(lean)

    def surface(u: float, v: float) -> Point:
        up = (0.5 - v) * height
        return (
            middle[0] + (u - 0.5) * width,
            middle[1] + up * math.sin(tilt),
            middle[2] + up * math.cos(tilt),
        )

    return surface
